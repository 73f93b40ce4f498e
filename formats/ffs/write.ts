import type { FileSystem, Identity, Layout } from '../filesystem.ts';
import { deviceNumber, type Inode, TYPE_BITS } from '../inodes.ts';
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
    withInodes: (others) => laidOut({ ...layout, inodes: others }),
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
  for (const inode of inodes) {
    const bytes = table.subarray(inode.number * geo.inodeSize, (inode.number + 1) * geo.inodeSize);
    if (geo.version === 1) writeInode1(bytes, inode, geo, identity);
    else writeInode2(bytes, inode, geo, identity);
  }
  return table;
}

/** struct ufs1_dinode (sys/ufs/ufs/dinode.h). */
function writeInode1(bytes: Buffer, inode: Inode, geo: Geometry, identity: Identity): void {
  const { entry } = inode;
  const time = entry.mtime ?? identity.time;
  bytes.writeUInt16LE(TYPE_BITS[entry.type] | entry.mode, 0);
  bytes.writeUInt16LE(inode.links, 2);
  bytes.writeBigUInt64LE(BigInt(inode.size), 8);
  for (const field of [16, 24, 32]) bytes.writeInt32LE(time, field);
  writePointers(bytes, inode, 40, 4);
  bytes.writeUInt32LE(sectorsOf(inode, geo), 104);
  bytes.writeInt32LE(generation(inode, identity), 108);
  bytes.writeUInt32LE(entry.uid, 112);
  bytes.writeUInt32LE(entry.gid, 116);
}

/** struct ufs2_dinode. */
function writeInode2(bytes: Buffer, inode: Inode, geo: Geometry, identity: Identity): void {
  const { entry } = inode;
  const time = BigInt(entry.mtime ?? identity.time);
  bytes.writeUInt16LE(TYPE_BITS[entry.type] | entry.mode, 0);
  bytes.writeUInt16LE(inode.links, 2);
  bytes.writeUInt32LE(entry.uid, 4);
  bytes.writeUInt32LE(entry.gid, 8);
  bytes.writeUInt32LE(geo.blockSize, 12);
  bytes.writeBigUInt64LE(BigInt(inode.size), 16);
  bytes.writeBigUInt64LE(BigInt(sectorsOf(inode, geo)), 24);
  for (const field of [32, 40, 48, 56]) bytes.writeBigInt64LE(time, field);
  bytes.writeInt32LE(generation(inode, identity), 80);
  writePointers(bytes, inode, 112, 8);
}

/** Where the contents are; or, in their place, a device's number or the target of a short link. */
function writePointers(bytes: Buffer, { entry, pointers, data }: Inode, at: number, size: 4 | 8): void {
  if (entry.type === 'character' || entry.type === 'block') bytes.writeUInt32LE(deviceNumber(entry), at);
  else if (entry.type === 'symlink' && data.length === 0) bytes.write(entry.target, at);
  else {
    pointers.forEach((pointer, n) => {
      bytes.writeUInt32LE(pointer, at + n * size);
    });
  }
}

/** What an inode holds, in sectors of 512 bytes, its indirect blocks included. */
function sectorsOf({ size, data, indirect }: Inode, { blockSize, fragmentSize }: Geometry): number {
  const last = data.length <= 12 && size % blockSize > 0 ? Math.ceil((size % blockSize) / fragmentSize) : FRAGMENTS;
  const fragments = data.length === 0 ? 0 : (data.length - 1 + indirect.length) * FRAGMENTS + last;
  return (fragments * fragmentSize) / 512;
}

/** A number that tells this inode from one that had its number before; NFS wants it. */
function generation({ number }: Inode, { uuid }: Identity): number {
  return (Math.imul(number, 0x9e3779b1) ^ uuid.readInt32LE(0)) & 0x7fffffff;
}
