import type { BlockSink, ExtentMap } from '../model/extents.ts';
import { Sectors } from './sectors.ts';
import type { BlockSource } from './volumeform.ts';

/** An image against what it is to be. */

/** Two places that differ within this are one. */
const GRAIN = 4096;
/** An image is not described by listing all of it. */
const MOST = 20;
const PIECE = 4 * 1024 * 1024;
const ZEROS = Buffer.alloc(PIECE);

/**
 * The first bytes that are not what a map says, each in 4 KiB of its own, at most 20, ascending. `copy` writes all sources of
 * the map to where they go.
 */
export async function deviations(
  map: ExtentMap,
  copy: (sink: BlockSink) => Promise<void>,
  image: BlockSource,
): Promise<number[]> {
  const found: number[] = [];
  const unwritten = new Sectors(map.size);
  unwritten.mark(0, map.size);
  const compare = (position: number, expected: Uint8Array) => {
    const bytes = image.read(position, expected.length);
    if (bytes.equals(expected)) return;
    for (let at = 0; at < bytes.length && found.length < MOST; at += GRAIN - ((position + at) % GRAIN)) {
      const end = Math.min(bytes.length, at + GRAIN - ((position + at) % GRAIN));
      for (let n = at; n < end; n++) {
        if (bytes[n] === expected[n]) continue;
        found.push(position + n);
        break;
      }
    }
  };
  await copy({
    write: (position, bytes, length = bytes.length) => {
      compare(position, bytes);
      compare(position + bytes.length, ZEROS.subarray(0, length - bytes.length));
      unwritten.clear(position, position + length);
    },
  });
  for (const [from, to] of unwritten.ranges()) {
    for (let at = from; at < to; at += PIECE) compare(at, ZEROS.subarray(0, Math.min(PIECE, to - at)));
  }
  return found.sort((a, b) => a - b);
}
