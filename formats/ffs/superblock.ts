import { DIRECT } from '../blocks.ts';
import type { Identity } from '../filesystem.ts';
import { SECTOR } from '../sectors.ts';
import { FRAGMENTS, type Geometry, groupSize, MAGIC, SUPERBLOCK_ROOM, SUPERBLOCK_SIZE } from './geometry.ts';
import type { Summary } from './group.ts';

/** The superblock (struct fs, sys/ufs/ffs/fs.h), with the numbers that newfs(8) writes. */

/** Percents that only root may fill. */
const RESERVED_PERCENT = 5;
const FLAGS_UPDATED = 0x80;

export function superblockBytes(geo: Geometry, identity: Identity, free: Summary): Buffer {
  const { version, blockSize, fragmentSize } = geo;
  const sb = Buffer.alloc(SUPERBLOCK_ROOM);
  const int = (at: number, ...values: number[]) => {
    values.forEach((value, n) => {
      sb.writeInt32LE(value | 0, at + n * 4);
    });
  };
  const long = (at: number, ...values: (number | bigint)[]) => {
    values.forEach((value, n) => {
      sb.writeBigInt64LE(BigInt(value), at + n * 8);
    });
  };
  const pointers = blockSize / (version === 1 ? 4 : 8);
  const summarySize = geo.summaryFragments * fragmentSize;
  const dataFragments = geo.size - geo.superblock - geo.groups * (geo.data - geo.superblock) - geo.summaryFragments;

  int(8, geo.superblock, geo.groupBlock, geo.inodes, geo.data);
  int(44, geo.groups, blockSize, fragmentSize, FRAGMENTS, RESERVED_PERCENT);
  int(72, -blockSize, -fragmentSize, Math.log2(blockSize), Math.log2(fragmentSize));
  int(88, geo.clusters, pointers, Math.log2(FRAGMENTS), Math.log2(fragmentSize / SECTOR));
  int(104, roundUp(SUPERBLOCK_SIZE, fragmentSize));
  int(116, pointers, geo.inodesPerBlock);
  sb.set(identity.uuid.subarray(0, 8), 144); // fs_id
  int(156, summarySize, roundUp(groupSize(version, geo.inodesPerGroup, geo.perGroup, geo.clusters), fragmentSize));
  int(184, geo.inodesPerGroup, geo.perGroup);
  sb[209] = 1; // clean
  sb[211] = FLAGS_UPDATED;
  sb.write(identity.label, 680, 31, 'utf8');
  int(860, blockSize);
  long(1000, geo.superblockAt, free.directories, free.blocks, free.inodes, free.fragments);
  long(1072, identity.time, geo.size, dataFragments, geo.data);
  int(1196, 16384, 64); // the size of a file, and the files of a directory, that newfs expects
  int(1316, geo.clusters, version === 1 ? 60 : 120);
  sb.writeBigUInt64LE(largestFile(blockSize, pointers), 1328);
  long(1336, blockSize - 1, fragmentSize - 1);
  int(1324, 2); // inodes of 4.4BSD
  int(1372, MAGIC[version]);
  if (version === 1) {
    int(28, -1); // fs_old_cgmask
    int(32, identity.time, geo.size, dataFragments);
    int(68, 60); // revolutions per second
    int(124, fragmentSize / SECTOR);
    const sectors = (geo.perGroup * fragmentSize) / SECTOR;
    int(132, sectors, 1); // sectors per track, interleave
    int(152, geo.data);
    int(168, sectors, sectors, geo.groups, 1); // sectors per track and per cylinder, cylinders, of which a group has one
    int(192, free.directories, free.blocks, free.inodes, free.fragments);
    int(1356, 1, 1);
  }
  return sb;
}

/** What triple indirection reaches (fs_maxfilesize). */
function largestFile(blockSize: number, pointers: number): bigint {
  const reach = BigInt(pointers);
  return BigInt(blockSize) * (BigInt(DIRECT) + reach + reach ** 2n + reach ** 3n) - 1n;
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
