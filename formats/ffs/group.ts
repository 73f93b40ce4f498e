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

/** The block of a group that has its maps. `time` is in seconds since 1970. */
export function groupBytes(layout: FfsLayout, group: number, time: number): { bytes: Buffer; summary: Summary } {
  const { geometry: geo, inodes } = layout;
  const { version, inodesPerGroup, perGroup, clusters } = geo;
  const fragments = fragmentsOf(geo, group);
  const free = freeFragments(layout, group);
  const last = inodes.at(-1)!.number;
  const usedInodes = Math.max(0, Math.min(inodesPerGroup, last + 1 - group * inodesPerGroup));
  const directories = inodes.filter(
    ({ number, entry }) => entry.type === 'directory' && Math.floor(number / inodesPerGroup) === group,
  ).length;
  const { freeBlocks, runs } = countFree(free, fragments);
  const summary: Summary = {
    directories,
    blocks: freeBlocks.reduce((all, isFree) => all + isFree, 0),
    inodes: inodesPerGroup - usedInodes,
    fragments: runs.reduce((all, count, length) => all + count * length, 0),
  };

  const bytes = Buffer.alloc(geo.blockSize);
  const inodeMap = MAPS_START + (version === 1 ? 6 : 0);
  const freeMap = inodeMap + Math.ceil(inodesPerGroup / 8);
  // As newfs(8) has it: the sums, of which the first is for runs of no block, begin 4 bytes earlier, at a multiple of 4.
  const sums = Math.ceil((freeMap + Math.ceil(perGroup / 8) - 4) / 4) * 4;
  const clusterMap = sums + (clusters + 1) * 4;
  const end = clusterMap + Math.ceil(perGroup / FRAGMENTS / 8);
  if (end > groupSize(version, inodesPerGroup, perGroup, clusters)) throw new Error('a cylinder group is too large');

  bytes.writeInt32LE(MAGIC, 4);
  bytes.writeInt32LE(group, 12);
  bytes.writeInt32LE(fragments, 20);
  [summary.directories, summary.blocks, summary.inodes, summary.fragments].forEach((value, n) => {
    bytes.writeInt32LE(value, 24 + n * 4);
  });
  runs.forEach((count, length) => {
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
  setBits(bytes, inodeMap, usedInodes, () => true);
  setBits(bytes, freeMap, fragments, (n) => free[n] === 1);
  setBits(bytes, clusterMap, freeBlocks.length, (n) => freeBlocks[n] === 1);
  for (const length of runsOf(freeBlocks)) {
    const at = sums + Math.min(length, clusters) * 4;
    bytes.writeInt32LE(bytes.readInt32LE(at) + 1, at);
  }
  return { bytes, summary };
}

/** A byte for each fragment of a group: 1 where it is free. */
function freeFragments({ geometry: geo, used }: FfsLayout, group: number): Uint8Array {
  const start = group * geo.perGroup;
  const free = new Uint8Array(fragmentsOf(geo, group)).fill(1);
  // Before its superblock a group has room for data, but the first one has the boot blocks there.
  free.fill(0, group === 0 ? 0 : geo.superblock, geo.data + (group === 0 ? geo.summaryFragments : 0));
  for (const [from, to] of used) {
    if (to > start && from < start + free.length) free.fill(0, Math.max(0, from - start), to - start);
  }
  return free;
}

/** Which blocks are free as a whole; and how many runs of free fragments of each length there are in the others. */
function countFree(free: Uint8Array, fragments: number): { freeBlocks: Uint8Array; runs: number[] } {
  const freeBlocks = new Uint8Array(Math.floor(fragments / FRAGMENTS));
  const runs = new Array<number>(FRAGMENTS).fill(0);
  for (let block = 0; block * FRAGMENTS < fragments; block++) {
    const part = free.subarray(block * FRAGMENTS, Math.min(fragments, (block + 1) * FRAGMENTS));
    if (part.length === FRAGMENTS && part.every((each) => each === 1)) freeBlocks[block] = 1;
    else for (const length of runsOf(part)) runs[length]!++;
  }
  return { freeBlocks, runs };
}

/** The lengths of the runs of ones. */
function runsOf(bits: Uint8Array): number[] {
  const found: number[] = [];
  let run = 0;
  for (const bit of [...bits, 0]) {
    if (bit === 1) run++;
    else if (run > 0) {
      found.push(run);
      run = 0;
    }
  }
  return found;
}

function setBits(bytes: Buffer, at: number, count: number, isSet: (n: number) => boolean): void {
  for (let n = 0; n < count; n++) if (isSet(n)) bytes[at + (n >> 3)]! |= 1 << (n & 7);
}
