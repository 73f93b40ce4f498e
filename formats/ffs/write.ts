import { DIRECT } from '../blocks.ts';
import type { FileSystem, Identity, Layout } from '../filesystem.ts';
import { MODES, placeWriter, wordsOf } from '../inodes.ts';
import type { Extent } from '../sink.ts';
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
  const { geometry: geo, inodes, maps, used } = layout;
  const { blockSize, fragmentSize } = geo;
  const data = geo.size - geo.groups * (geo.data - geo.superblock) - geo.superblock - geo.summaryFragments;
  return {
    form: { blockSize, unit: fragmentSize, pointerSize: pointerSizeOf(geo.version) },
    inodes,
    maps,
    free: (data - used.reduce((sum, [from, to]) => sum + to - from, 0)) * fragmentSize,
    tables: (identity) => tables(layout, identity),
  };
}

function* tables(layout: FfsLayout, identity: Identity): Generator<Extent> {
  const { geometry: geo } = layout;
  const directories = layout.inodes.directoriesIn(geo.groups, (inode) => Math.floor(inode / geo.inodesPerGroup));
  const groups = [...directories].map((count, group) => groupBytes(layout, group, count, identity.time));
  const summaries = groups.map(({ summary }) => summary);
  const superblock = superblockBytes(geo, identity, sum(summaries));
  const table = inodeTable(layout, identity);
  yield { position: geo.superblockAt, bytes: superblock };
  for (const [n, { bytes }] of groups.entries()) {
    const at = (fragment: number) => (n * geo.perGroup + fragment) * geo.fragmentSize;
    yield { position: at(geo.superblock), bytes: superblock };
    yield { position: at(geo.groupBlock), bytes };
    const first = n * geo.inodesPerGroup * geo.inodeSize;
    const part = table.subarray(first, Math.min(first + geo.inodesPerGroup * geo.inodeSize, table.length));
    if (part.length > 0) yield { position: at(geo.inodes), bytes: part };
    if (n === 0) yield { position: at(geo.data), bytes: summaryBytes(geo, summaries) };
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

function inodeTable({ geometry: geo, inodes, maps }: FfsLayout, identity: Identity): Buffer {
  const { numbers } = inodes.tree;
  const table = Buffer.alloc((inodes.last + 1) * geo.inodeSize);
  const words = wordsOf(table);
  const write = geo.version === 1 ? writeInode1 : writeInode2;
  const writePlace = placeWriter(inodes, maps, table, POINTERS[geo.version], pointerSizeOf(geo.version), FRAGMENTS);
  for (let n = 0; n < inodes.count; n++) {
    const from = inodes.entries[n]! * NUMBERS;
    const mtime = numbers[from + MTIME]!;
    const size = inodes.sizes[n]!;
    const number = inodes.numberOf(n);
    const at = number * geo.inodeSize;
    words[at / 4] = MODES[numbers[from + TYPE]!]! | numbers[from + MODE]! | (inodes.links[n]! << 16);
    write(words, at / 4, {
      uid: numbers[from + UID]!,
      gid: numbers[from + GID]!,
      time: mtime === NO_TIME ? identity.time : mtime,
      size,
      blockSize: geo.blockSize,
      sectors: sectorsOf(size, maps.blocks[n]!, geo),
      generation: generation(number, identity),
    });
    writePlace(n, at);
  }
  return table;
}

/** Where an inode has its pointers: di_db of struct ufs1_dinode and ufs2_dinode. */
const POINTERS = { 1: 40, 2: 112 } as const;

/** What both kinds of inodes have, in places of their own. */
interface Fields {
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970; below 2^31. */
  readonly time: number;
  /** Bytes. */
  readonly size: number;
  readonly blockSize: number;
  readonly sectors: number;
  readonly generation: number;
}

/** What only struct ufs1_dinode has in its places (sys/ufs/ufs/dinode.h). */
function writeInode1(words: Uint32Array, at: number, { uid, gid, time, size, sectors, generation }: Fields): void {
  writeLong(words, at + 2, size);
  words[at + 4] = time;
  words[at + 6] = time;
  words[at + 8] = time;
  words[at + 26] = sectors;
  words[at + 27] = generation;
  words[at + 28] = uid;
  words[at + 29] = gid;
}

/** The same of struct ufs2_dinode. */
function writeInode2(words: Uint32Array, at: number, inode: Fields): void {
  const { time } = inode;
  words[at + 1] = inode.uid;
  words[at + 2] = inode.gid;
  words[at + 3] = inode.blockSize;
  writeLong(words, at + 4, inode.size);
  writeLong(words, at + 6, inode.sectors);
  words[at + 8] = time;
  words[at + 10] = time;
  words[at + 12] = time;
  words[at + 14] = time;
  words[at + 20] = inode.generation;
}

/** A 64-bit number. */
function writeLong(words: Uint32Array, at: number, value: number): void {
  words[at] = value;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

/** What an inode of so many bytes holds, in sectors of 512 bytes, its indirect blocks included. */
function sectorsOf(size: number, blocks: number, { blockSize, fragmentSize }: Geometry): number {
  if (blocks === 0) return 0;
  const last = blocks <= DIRECT && size % blockSize > 0 ? Math.ceil((size % blockSize) / fragmentSize) : FRAGMENTS;
  return (((blocks - 1) * FRAGMENTS + last) * fragmentSize) / 512;
}

/** A number that tells an inode from one that had its number before; NFS wants it. */
function generation(number: number, { uuid }: Identity): number {
  return (Math.imul(number, 0x9e3779b1) ^ uuid.readInt32LE(0)) & 0x7fffffff;
}
