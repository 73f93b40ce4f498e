import { DIRECT } from '../blocks.ts';
import { type FileSystem, type Identity, type Layout, type Table, tableOf } from '../filesystem.ts';
import { MODES, placeWriter, wordsOf } from '../inodes.ts';
import { GID, MODE, MTIME, NO_TIME, NUMBERS, TYPE, UID } from '../treeindex.ts';
import { FRAGMENTS, type Geometry, SUMMARY_SIZE, type Version } from './geometry.ts';
import { groupBytes, type Summary, sum } from './group.ts';
import { type FfsLayout, layOut, pointerSizeOf } from './layout.ts';
import { superblockBytes } from './superblock.ts';

/** NetBSD's Fast File System, in little-endian, as all architectures that smol knows want it. */
export const ffs =
  (version: Version): FileSystem =>
  (tree, size) => {
    const layout = layOut(tree, size, version);
    return layout && laidOut(layout);
  };

function laidOut(layout: FfsLayout): Layout {
  const { geometry: geo, inodes, maps } = layout;
  const { blockSize, fragmentSize } = geo;
  return {
    form: { blockSize, unit: fragmentSize, pointerSize: pointerSizeOf(geo.version) },
    inodes,
    maps,
    free: freeFragments(layout) * fragmentSize,
    tables: (identity) => tables(layout, identity),
  };
}

function freeFragments({ geometry: geo, used }: FfsLayout): number {
  let free = geo.size - geo.groups * (geo.data - geo.superblock) - geo.superblock - geo.summaryFragments;
  for (const runs of used) for (let n = 0; n < runs.length; n += 2) free -= runs[n + 1]! - runs[n]!;
  return free;
}

function* tables(layout: FfsLayout, identity: Identity): Generator<Table> {
  const { geometry: geo } = layout;
  const directories = layout.inodes.directoriesIn(geo.groups, (inode) => Math.floor(inode / geo.inodesPerGroup));
  const groups = [...directories].map((count, group) => groupBytes(layout, group, count, identity.time));
  const summaries = groups.map(({ summary }) => summary);
  const superblock = superblockBytes(geo, identity, sum(summaries));
  yield tableOf(geo.superblockAt, superblock);
  for (const [n, { bytes }] of groups.entries()) {
    const at = (fragment: number) => (n * geo.perGroup + fragment) * geo.fragmentSize;
    yield tableOf(at(geo.superblock), superblock);
    yield tableOf(at(geo.groupBlock), bytes);
    const first = n * geo.inodesPerGroup;
    const count = Math.min(geo.inodesPerGroup, layout.inodes.last + 1 - first);
    const write = (table: Buffer) => writeInodes(layout, identity, table, first, count);
    if (count > 0) yield { position: at(geo.inodes), size: count * geo.inodeSize, write };
    if (n === 0) yield tableOf(at(geo.data), summaryBytes(geo, summaries));
  }
}

/** What is free in each group once more, all together (fs_csaddr). */
function summaryBytes(geo: Geometry, summaries: readonly Summary[]): Buffer {
  const bytes = Buffer.alloc(geo.summaryFragments * geo.fragmentSize);
  for (const [n, { directories, blocks, inodes, fragments }] of summaries.entries()) {
    [directories, blocks, inodes, fragments].forEach((value, k) => {
      bytes.writeInt32LE(value, n * SUMMARY_SIZE + k * 4);
    });
  }
  return bytes;
}

/** Where an inode has what both versions have, in words (struct ufs1_dinode and ufs2_dinode, sys/ufs/ufs/dinode.h). */
const DINODE = {
  1: { size: 2, atime: 4, mtime: 6, ctime: 8, pointers: 10, sectors: 26, generation: 27, uid: 28, gid: 29 },
  2: { uid: 1, gid: 2, size: 4, sectors: 6, atime: 8, mtime: 10, ctime: 12, generation: 20, pointers: 28 },
} as const;
/** What only version 2 has. */
const [BLOCK_SIZE, BIRTHTIME] = [3, 14];

/** Writes so many inodes of a table, from that number on. */
function writeInodes(layout: FfsLayout, identity: Identity, table: Buffer, first: number, count: number): void {
  const { geometry: geo, inodes, maps } = layout;
  const { numbers } = inodes.tree;
  const words = wordsOf(table);
  const places = DINODE[geo.version];
  const seed = identity.uuid.readInt32LE(0);
  const writePlace = placeWriter(inodes, maps, table, places.pointers * 4, pointerSizeOf(geo.version), FRAGMENTS);
  const end = inodes.from(first + count);
  for (let n = inodes.from(first); n < end; n++) {
    const from = inodes.entries[n]! * NUMBERS;
    const mtime = numbers[from + MTIME]!;
    const time = mtime === NO_TIME ? identity.time : mtime;
    const size = inodes.sizes[n]!;
    const sectors = sectorsOf(size, maps.blocks[n]!, geo);
    const number = inodes.numberOf(n);
    const at = (number - first) * geo.inodeSize;
    const word = at / 4;
    words[word] = MODES[numbers[from + TYPE]!]! | numbers[from + MODE]! | (inodes.links[n]! << 16);
    words[word + places.uid] = numbers[from + UID]!;
    words[word + places.gid] = numbers[from + GID]!;
    words[word + places.size] = size;
    words[word + places.size + 1] = Math.floor(size / 2 ** 32);
    words[word + places.sectors] = sectors;
    words[word + places.atime] = time;
    words[word + places.mtime] = time;
    words[word + places.ctime] = time;
    words[word + places.generation] = generation(number, seed);
    if (geo.version === 2) {
      words[word + BLOCK_SIZE] = geo.blockSize;
      words[word + BIRTHTIME] = time;
      words[word + places.sectors + 1] = Math.floor(sectors / 2 ** 32);
    }
    writePlace(n, at);
  }
}

/** What an inode of so many bytes holds, in sectors of 512 bytes, its indirect blocks included. */
function sectorsOf(size: number, blocks: number, { blockSize, fragmentSize }: Geometry): number {
  if (blocks === 0) return 0;
  const last = blocks <= DIRECT && size % blockSize > 0 ? Math.ceil((size % blockSize) / fragmentSize) : FRAGMENTS;
  return (((blocks - 1) * FRAGMENTS + last) * fragmentSize) / 512;
}

/** A number that tells an inode from one that had its number before; NFS wants it. */
function generation(number: number, seed: number): number {
  return (Math.imul(number, 0x9e3779b1) ^ seed) & 0x7fffffff;
}
