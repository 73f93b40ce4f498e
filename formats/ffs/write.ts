import type { FileSystem, Identity, Layout } from '../filesystem.ts';
import { countBlocks, DIRECT, deviceNumber, type Inode, TYPE_BITS, writePointers } from '../inodes.ts';
import type { Extent } from '../sink.ts';
import { FRAGMENTS, type Geometry, SUMMARY_SIZE, type Version } from './geometry.ts';
import { groupBytes, type Summary, sum } from './group.ts';
import { DIRECTORIES, type FfsLayout, layOut } from './layout.ts';
import { superblockBytes } from './superblock.ts';

/** NetBSD's Fast File System, in little-endian, as all architectures that smol knows want it. */
export const ffs =
  (version: Version): FileSystem =>
  (tree, size) => {
    const layout = layOut(tree, size, version);
    return layout && laidOut(layout);
  };

function laidOut(layout: FfsLayout): Layout {
  const { geometry: geo, inodes, used } = layout;
  const { blockSize, fragmentSize } = geo;
  const data = geo.size - geo.groups * (geo.data - geo.superblock) - geo.superblock - geo.summaryFragments;
  return {
    form: { blockSize, unit: fragmentSize, pointerSize: geo.version === 1 ? 4 : 8, directories: DIRECTORIES },
    inodes,
    free: (data - used.reduce((sum, [from, to]) => sum + to - from, 0)) * fragmentSize,
    tables: (identity) => tables(layout, identity),
  };
}

function* tables(layout: FfsLayout, identity: Identity): Generator<Extent> {
  const { geometry: geo } = layout;
  const groups = Array.from({ length: geo.groups }, (_, group) => groupBytes(layout, group, identity.time));
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

function inodeTable({ geometry: geo, inodes }: FfsLayout, identity: Identity): Buffer {
  const table = Buffer.alloc((inodes.at(-1)!.number + 1) * geo.inodeSize);
  // A view sets a field in a fraction of the time that a Buffer takes, and checks nothing: it is for what fits in any case.
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  const write = geo.version === 1 ? writeInode1 : writeInode2;
  for (const inode of inodes) {
    const { entry, data, links, number } = inode;
    const at = number * geo.inodeSize;
    table.writeUInt16LE(TYPE_BITS[entry.type] | entry.mode, at);
    table.writeUInt16LE(links, at + 2);
    write(table, view, at, inode, geo, identity);
    // A short target stands where the pointers would.
    if (entry.type === 'symlink' && data.length === 0) table.write(entry.target, at + POINTERS[geo.version]);
  }
  return table;
}

/** Where an inode has its pointers: di_db of struct ufs1_dinode and ufs2_dinode. */
const POINTERS = { 1: 40, 2: 112 } as const;

/** What only struct ufs1_dinode has in its places (sys/ufs/ufs/dinode.h). */
function writeInode1(table: Buffer, view: DataView, at: number, inode: Inode, geo: Geometry, identity: Identity): void {
  const { entry } = inode;
  const time = entry.mtime ?? identity.time;
  writeLong(view, at + 8, inode.size);
  table.writeInt32LE(time, at + 16);
  for (const field of [24, 32]) view.setInt32(at + field, time, true);
  writePlace(view, at + POINTERS[1], inode, 4);
  table.writeUInt32LE(sectorsOf(inode, geo), at + 104);
  view.setInt32(at + 108, generation(inode, identity), true);
  table.writeUInt32LE(entry.uid, at + 112);
  table.writeUInt32LE(entry.gid, at + 116);
}

/** The same of struct ufs2_dinode. */
function writeInode2(table: Buffer, view: DataView, at: number, inode: Inode, geo: Geometry, identity: Identity): void {
  const { entry } = inode;
  const time = entry.mtime ?? identity.time;
  table.writeUInt32LE(entry.uid, at + 4);
  table.writeUInt32LE(entry.gid, at + 8);
  view.setUint32(at + 12, geo.blockSize, true);
  writeLong(view, at + 16, inode.size);
  writeLong(view, at + 24, sectorsOf(inode, geo));
  for (const field of [32, 40, 48, 56]) writeLong(view, at + field, time);
  view.setInt32(at + 80, generation(inode, identity), true);
  writePlace(view, at + POINTERS[2], inode, 8);
}

/** A 64-bit number. */
function writeLong(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** Where the contents are; or, in their place, a device's number. */
function writePlace(view: DataView, at: number, { entry, pointers }: Inode, size: 4 | 8): void {
  if (entry.type === 'character' || entry.type === 'block') view.setUint32(at, deviceNumber(entry), true);
  else writePointers(view, at, pointers, size, FRAGMENTS);
}

/** What an inode holds, in sectors of 512 bytes, its indirect blocks included. */
function sectorsOf({ size, data, indirect }: Inode, { blockSize, fragmentSize }: Geometry): number {
  const blocks = countBlocks(data);
  if (blocks === 0) return 0;
  const last = blocks <= DIRECT && size % blockSize > 0 ? Math.ceil((size % blockSize) / fragmentSize) : FRAGMENTS;
  return (((blocks - 1 + indirect.length) * FRAGMENTS + last) * fragmentSize) / 512;
}

/** A number that tells this inode from one that had its number before; NFS wants it. */
function generation({ number }: Inode, { uuid }: Identity): number {
  return (Math.imul(number, 0x9e3779b1) ^ uuid.readInt32LE(0)) & 0x7fffffff;
}
