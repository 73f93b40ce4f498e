/**
 * How an ext2 file system divides its blocks into groups. The sources are Linux's Documentation/filesystems/ext4
 * (the on-disk format) and NetBSD's sys/ufs/ext2fs/ext2fs.h. Revision 1, 128-byte inodes, features that both know:
 * file types in directories, large files, backups of the superblock in few groups only.
 */

export const INODE_SIZE = 128;
/** Inodes 1 to 10 are reserved; 2 is the root. */
export const FIRST_INODE = 11;
const DESCRIPTOR_SIZE = 32;
/** One inode for every so many bytes of the file system, as mke2fs does for small ones. */
const BYTES_PER_INODE = 8192;

export interface Group {
  /** The first block of the group. */
  readonly start: number;
  readonly blocks: number;
  readonly hasSuperblock: boolean;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** The first block that is free for data. */
  readonly data: number;
}

export interface Geometry {
  readonly blockSize: number;
  readonly blocks: number;
  readonly firstBlock: number;
  readonly blocksPerGroup: number;
  readonly inodesPerGroup: number;
  readonly descriptorBlocks: number;
  readonly groups: readonly Group[];
}

/** 4 KiB, but 1 KiB where so large blocks would waste most of a tiny image. */
export function blockSizeFor(size: number): number {
  return size < 8 * 1024 * 1024 ? 1024 : 4096;
}

/** The groups of a file system of at most `size` bytes, with room for at least `inodes` inodes beside the reserved ones. */
export function geometry(size: number, inodes: number): Geometry {
  const blockSize = blockSizeFor(size);
  const firstBlock = blockSize === 1024 ? 1 : 0;
  const blocksPerGroup = 8 * blockSize;
  const inodesPerBlock = blockSize / INODE_SIZE;
  let blocks = Math.floor(size / blockSize);
  for (;;) {
    const count = Math.max(1, Math.ceil((blocks - firstBlock) / blocksPerGroup));
    const wanted = Math.max(inodes + FIRST_INODE, Math.floor((blocks * blockSize) / BYTES_PER_INODE));
    const inodesPerGroup = Math.min(blocksPerGroup, Math.ceil(wanted / count / inodesPerBlock) * inodesPerBlock);
    const tableBlocks = inodesPerGroup / inodesPerBlock;
    const descriptorBlocks = Math.ceil((count * DESCRIPTOR_SIZE) / blockSize);
    const groups = Array.from({ length: count }, (_, n): Group => {
      const start = firstBlock + n * blocksPerGroup;
      const blockBitmap = start + (hasSuperblock(n) ? 1 + descriptorBlocks : 0);
      const inodeTable = blockBitmap + 2;
      return {
        start,
        blocks: Math.min(blocksPerGroup, blocks - start),
        hasSuperblock: hasSuperblock(n),
        blockBitmap,
        inodeBitmap: blockBitmap + 1,
        inodeTable,
        data: inodeTable + tableBlocks,
      };
    });
    // A last group that is too short for its own tables is left out, as mke2fs does.
    const last = groups.at(-1)!;
    if (count > 1 && last.start + last.blocks < last.data + 50) {
      blocks = last.start;
      continue;
    }
    return { blockSize, blocks, firstBlock, blocksPerGroup, inodesPerGroup, descriptorBlocks, groups };
  }
}

/** The blocks that are left for directories and files. */
export function dataBlocks(geometry: Geometry): number {
  return geometry.groups.reduce((sum, group) => sum + Math.max(0, group.start + group.blocks - group.data), 0);
}

/** With the feature sparse_super: groups 0, 1 and the powers of 3, 5 and 7. */
function hasSuperblock(group: number): boolean {
  if (group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}
