/**
 * How NetBSD's Fast File System divides a disk into cylinder groups. The sources are NetBSD's sys/ufs/ffs/fs.h (the form
 * on disk) and newfs(8), sbin/newfs/mkfs.c (how the numbers are chosen). Addresses count fragments, eight to a block.
 */

export type Version = 1 | 2;

/** fs.h: FS_UFS1_MAGIC, FS_UFS2_MAGIC. */
export const MAGIC = { 1: 0x011954, 2: 0x19540119 } as const;
export const FRAGMENTS = 8;
/** The superblock has this room, wherever it lies. */
export const SUPERBLOCK_ROOM = 8192;
/** The bytes of `struct fs`, and of `struct cg` with its padding. */
export const SUPERBLOCK_SIZE = 1376;
const GROUP_HEADER = 176;
/** Where the maps of a group begin: cg_space. */
export const MAPS_START = 168;
export const SUMMARY_SIZE = 16;
/** Inodes 0 and 1 are reserved, 2 is the root. */
export const FIRST_INODE = 3;
/** One inode for every so many bytes of the file system. */
const BYTES_PER_INODE = 8192;
/** What NetBSD reads and writes at once, which bounds a cluster of blocks. */
const LARGEST_TRANSFER = 64 * 1024;

export interface Geometry {
  readonly version: Version;
  readonly blockSize: number;
  readonly fragmentSize: number;
  readonly inodeSize: number;
  readonly inodesPerBlock: number;
  /** Byte offset of the superblock. */
  readonly superblockAt: number;
  /** All following in fragments; those of a group are from its start. */
  readonly size: number;
  readonly superblock: number;
  readonly groupBlock: number;
  readonly inodes: number;
  readonly data: number;
  readonly perGroup: number;
  readonly groups: number;
  readonly inodesPerGroup: number;
  /** The summaries of all groups, which lie at the beginning of the data of the first. */
  readonly summaryFragments: number;
  /** How long runs of free blocks are counted. */
  readonly clusters: number;
}

/** The block size that newfs(8) chooses: small ones below 20 MB, large ones from 1000 MB on. */
function blockSizeFor(size: number): number {
  if (size < 20 * 1024 ** 2) return 4096;
  return size < 1000 * 1024 ** 2 ? 8192 : 16384;
}

/** The groups of a file system of `size` bytes with room for `count` inodes; undefined if it is too small for its own tables. */
export function geometry(size: number, count: number, version: Version): Geometry | undefined {
  const blockSize = blockSizeFor(size);
  const fragmentSize = blockSize / FRAGMENTS;
  const inodeSize = version === 1 ? 128 : 256;
  const inodesPerBlock = blockSize / inodeSize;
  const superblockAt = version === 1 ? 8192 : 65536;
  const blocks = (bytes: number) => Math.ceil(bytes / blockSize) * FRAGMENTS;
  const superblock = blocks(superblockAt + SUPERBLOCK_ROOM);
  const groupBlock = superblock + blocks(SUPERBLOCK_ROOM);
  const inodes = groupBlock + FRAGMENTS;
  const clusters = LARGEST_TRANSFER / blockSize;

  let fragments = Math.floor(size / blockSize) * FRAGMENTS;
  const wanted = Math.max(count + FIRST_INODE, Math.ceil(size / BYTES_PER_INODE));
  const inodesFor = (perGroup: number) => {
    const groups = Math.ceil(fragments / perGroup);
    return Math.ceil(wanted / groups / inodesPerBlock) * inodesPerBlock;
  };
  // A group has one block for all its maps, which bounds it.
  const fits = (perGroup: number) => groupSize(version, inodesFor(perGroup), perGroup, clusters) <= blockSize;
  let perGroup = Math.min(fragments, blockSize * 8);
  while (!fits(perGroup)) perGroup -= FRAGMENTS;
  const inodesPerGroup = inodesFor(perGroup);
  const data = inodes + (inodesPerGroup / inodesPerBlock) * FRAGMENTS;
  // A last group that is too short for its own tables is left out.
  if (fragments % perGroup !== 0 && fragments % perGroup <= data) fragments -= fragments % perGroup;
  const groups = Math.ceil(fragments / perGroup);
  const summaryFragments = Math.ceil((groups * SUMMARY_SIZE) / fragmentSize);
  if (fragments <= data + summaryFragments || groups * inodesPerGroup < count + FIRST_INODE) return undefined;
  return {
    version,
    blockSize,
    fragmentSize,
    inodeSize,
    inodesPerBlock,
    superblockAt,
    size: fragments,
    superblock,
    groupBlock,
    inodes,
    data,
    perGroup,
    groups,
    inodesPerGroup,
    summaryFragments,
    clusters,
  };
}

/** Bytes of a cylinder group's header with its maps (CGSIZE). Version 1 has tables of the disk's rotation too, of one cylinder. */
export function groupSize(version: Version, inodes: number, fragments: number, clusters: number): number {
  const rotation = version === 1 ? 6 : 0;
  const maps = Math.ceil(inodes / 8) + Math.ceil(fragments / 8);
  return GROUP_HEADER + 4 + rotation + maps + clusters * 4 + Math.ceil(fragments / FRAGMENTS / 8);
}

/** The fragments of a group, the last of which may be short. */
export function fragmentsOf({ size, perGroup }: Geometry, group: number): number {
  return Math.min(perGroup, size - group * perGroup);
}
