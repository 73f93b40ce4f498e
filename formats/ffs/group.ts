import { setBits } from '../blocks.ts';
import { FRAGMENTS, fragmentsOf, groupSize, MAPS_START } from './geometry.ts';
import type { FfsLayout } from './layout.ts';

/** Cylinder groups: what of each is free (struct cg, sys/ufs/ffs/fs.h). */

const MAGIC = 0x090255;

/** What is free, and how many directories there are (struct csum). */
export interface Summary {
  readonly directories: number;
  readonly blocks: number;
  readonly inodes: number;
  readonly fragments: number;
}

export function sum(summaries: readonly Summary[]): Summary {
  const total = (of: (summary: Summary) => number) => summaries.reduce((all, each) => all + of(each), 0);
  return {
    directories: total(({ directories }) => directories),
    blocks: total(({ blocks }) => blocks),
    inodes: total(({ inodes }) => inodes),
    fragments: total(({ fragments }) => fragments),
  };
}

/** The block of a group, with so many directories, that has its maps. `time` is in seconds since 1970. */
export function groupBytes(
  layout: FfsLayout,
  group: number,
  directories: number,
  time: number,
): { bytes: Buffer; summary: Summary } {
  const { geometry: geo, inodes } = layout;
  const { version, inodesPerGroup, perGroup, clusters } = geo;
  const fragments = fragmentsOf(geo, group);
  const usedInodes = Math.max(0, Math.min(inodesPerGroup, inodes.last + 1 - group * inodesPerGroup));
  const bytes = Buffer.alloc(geo.blockSize);
  const inodeMap = MAPS_START + (version === 1 ? 6 : 0);
  const freeMap = inodeMap + Math.ceil(inodesPerGroup / 8);
  // As newfs(8) has it: the sums, of which the first is for runs of no block, begin 4 bytes earlier, at a multiple of 4.
  const sums = Math.ceil((freeMap + Math.ceil(perGroup / 8) - 4) / 4) * 4;
  const clusterMap = sums + (clusters + 1) * 4;
  const end = clusterMap + Math.ceil(perGroup / FRAGMENTS / 8);
  if (end > groupSize(version, inodesPerGroup, perGroup, clusters)) throw new Error('a cylinder group is too large');

  /** How many runs of each length there are in blocks that are not free as a whole. */
  const parts = new Array<number>(FRAGMENTS).fill(0);
  let blocks = 0;
  const free = freeRuns(layout, group);
  for (let n = 0; n < free.length; n += 2) {
    const from = free[n]!;
    const to = free[n + 1]!;
    setBits(bytes.subarray(freeMap), from, to);
    // The blocks that lie in it as a whole.
    const first = Math.ceil(from / FRAGMENTS);
    const last = Math.max(first, Math.floor(to / FRAGMENTS));
    // What lies within a block has but one end.
    const head = Math.min(to, first * FRAGMENTS) - from;
    const tail = to - Math.max(last * FRAGMENTS, from + head);
    if (head > 0) parts[head]!++;
    if (tail > 0) parts[tail]!++;
    if (first === last) continue;
    blocks += last - first;
    setBits(bytes.subarray(clusterMap), first, last);
    const at = sums + Math.min(last - first, clusters) * 4;
    bytes.writeInt32LE(bytes.readInt32LE(at) + 1, at);
  }
  const summary: Summary = {
    directories,
    blocks,
    inodes: inodesPerGroup - usedInodes,
    fragments: parts.reduce((all, count, length) => all + count * length, 0),
  };

  bytes.writeInt32LE(MAGIC, 4);
  bytes.writeInt32LE(group, 12);
  bytes.writeInt32LE(fragments, 20);
  [summary.directories, summary.blocks, summary.inodes, summary.fragments].forEach((value, n) => {
    bytes.writeInt32LE(value, 24 + n * 4);
  });
  parts.forEach((count, length) => {
    bytes.writeInt32LE(count, 52 + length * 4);
  });
  if (version === 1) {
    bytes.writeInt32LE(time, 8);
    bytes.writeInt16LE(1, 16); // one cylinder
    bytes.writeInt16LE(inodesPerGroup & 0x7fff, 18);
    bytes.writeInt32LE(MAPS_START, 84);
    bytes.writeInt32LE(MAPS_START + 4, 88);
  } else {
    bytes.writeInt32LE(inodesPerGroup, 116);
    const initialised = Math.ceil(usedInodes / geo.inodesPerBlock) * geo.inodesPerBlock;
    bytes.writeInt32LE(Math.min(inodesPerGroup, Math.max(initialised, 2 * geo.inodesPerBlock)), 120);
    bytes.writeBigInt64LE(BigInt(time), 136);
  }
  [inodeMap, freeMap, end, sums, clusterMap, Math.floor(fragments / FRAGMENTS)].forEach((value, n) => {
    bytes.writeInt32LE(value, 92 + n * 4);
  });
  setBits(bytes.subarray(inodeMap), 0, usedInodes);
  return { bytes, summary };
}

/** What is free in a group: of each run, its first fragment from the start of the group on, and the one after its last. */
function freeRuns({ geometry: geo, used }: FfsLayout, group: number): number[] {
  const start = group * geo.perGroup;
  const runs = used[group]!;
  const free: number[] = [];
  let next = 0;
  const take = (from: number, to: number) => {
    if (from > next) free.push(next, from);
    next = to;
  };
  // Before its superblock a group has room for data, but the first one has the boot blocks there.
  if (group === 0) take(0, geo.data + geo.summaryFragments);
  else take(geo.superblock, geo.data);
  for (let n = 0; n < runs.length; n += 2) take(runs[n]! - start, runs[n + 1]! - start);
  const end = fragmentsOf(geo, group);
  take(end, end);
  return free;
}
