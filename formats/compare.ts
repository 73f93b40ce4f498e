import { type Disk, writeDisk } from './disk.ts';
import type { Contents } from './filewriter.ts';
import { Sectors } from './sectors.ts';
import type { BlockSource } from './volumeform.ts';

/** An image against what it is to be. */

/** Two places that differ within this are one. */
const GRAIN = 4096;
/** An image is not described by listing all of it. */
const MOST = 20;
const PIECE = 4 * 1024 * 1024;
const ZEROS = Buffer.alloc(PIECE);

/** The first bytes that are not what they are to be, each in 4 KiB of its own, at most 20, ascending. */
export async function deviations(disk: Disk, contents: Contents, image: BlockSource): Promise<number[]> {
  const found: number[] = [];
  const unwritten = new Sectors(disk.size);
  unwritten.mark(0, disk.size);
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
  await writeDisk(disk, contents, {
    write: async (position, bytes) => {
      compare(position, bytes);
      unwritten.clear(position, position + bytes.length);
    },
  });
  for (const [from, to] of unwritten.ranges()) {
    for (let at = from; at < to; at += PIECE) compare(at, ZEROS.subarray(0, Math.min(PIECE, to - at)));
  }
  return found.sort((a, b) => a - b);
}
