import type { ExtentMap } from '../model/extents.ts';
import { areSame, countSources, extentsOf, isSameSource, placeOf, subsetOf } from './extentmap.ts';
import { Sectors } from './sectors.ts';

/** What makes one disk into another of the same size: only what differs is written. */

/** Beyond this, writing the disk anew is as fast, and leaves its holes. */
const LARGEST_PATCH = 64 * 1024 ** 2;

/** So many sources are looked at together, as most are what they were. */
const TOGETHER = 256;

/** What is to be written on a disk. */
export interface Patch {
  /** Runs of bytes that are to be zeros. */
  readonly blank: readonly (readonly [from: number, to: number])[];
  /** The sources that are to be copied after that. */
  readonly changed: ExtentMap;
}

/** What makes a disk that is exactly what `before` says into one that is what `after` says. Undefined if too much differs. */
export function patchOf(before: ExtentMap, after: ExtentMap): Patch | undefined {
  if (before.size !== after.size) return undefined;
  const { gone, come } = differing(before, after);
  const stale = new Sectors(before.size);
  for (const n of gone) for (const [position, length] of extentsOf(before, n)) stale.mark(position, position + length);
  for (const n of come) for (const [position, length] of extentsOf(after, n)) stale.clear(position, position + length);
  const patch = { blank: stale.ranges(), changed: subsetOf(after, come) };
  return sizeOf(patch) > LARGEST_PATCH ? undefined : patch;
}

/** The sources that only one of two maps has; a few that both have may be among them. */
function differing(before: ExtentMap, after: ExtentMap): { gone: number[]; come: number[] } {
  const [gone, come]: [number[], number[]] = [[], []];
  const [former, latter] = [countSources(before), countSources(after)];
  // Both go from front to back, but for few.
  for (let n = 0, m = 0; n < former || m < latter; ) {
    if (n === m && n + TOGETHER <= Math.min(former, latter) && areSame(before, after, n, n + TOGETHER)) {
      n += TOGETHER;
      m = n;
      continue;
    }
    const old = n < former ? placeOf(before, n) : Infinity;
    const now = m < latter ? placeOf(after, m) : Infinity;
    if (old === now && isSameSource(before, n, after, m)) {
      n++;
      m++;
    } else if (old <= now) gone.push(n++);
    else come.push(m++);
  }
  return { gone, come };
}

function sizeOf({ blank, changed }: Patch): number {
  let size = 0;
  for (const [from, to] of blank) size += to - from;
  for (const [, length] of extentsOf(changed)) size += length;
  return size;
}
