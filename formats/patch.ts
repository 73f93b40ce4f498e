import type { ExtentMap } from '../model/extents.ts';
import { extentsOf, isSameSource, placesOf, subsetOf } from './extentmap.ts';
import { Sectors } from './sectors.ts';

/** What makes one disk into another of the same size: only what differs is written. */

/** Beyond this, writing the disk anew is as fast, and leaves its holes. */
const LARGEST_PATCH = 64 * 1024 ** 2;

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
  const gone = placesOf(before);
  const changed: number[] = [];
  for (const [position, n] of placesOf(after)) {
    const old = gone.get(position);
    if (old !== undefined && isSameSource(before, old, after, n)) gone.delete(position);
    else changed.push(n);
  }
  const stale = new Sectors(before.size);
  for (const n of gone.values()) {
    for (const [position, length] of extentsOf(before, n)) stale.mark(position, position + length);
  }
  for (const n of changed) {
    for (const [position, length] of extentsOf(after, n)) stale.clear(position, position + length);
  }
  const patch = { blank: stale.ranges(), changed: subsetOf(after, changed) };
  return sizeOf(patch) > LARGEST_PATCH ? undefined : patch;
}

function sizeOf({ blank, changed }: Patch): number {
  let size = 0;
  for (const [from, to] of blank) size += to - from;
  for (const [, length] of extentsOf(changed)) size += length;
  return size;
}
