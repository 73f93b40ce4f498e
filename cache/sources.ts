import { createHash, hash as hashOf } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from '../formats/crc32.ts';
import { BLOB, CRC, countSources, DIGEST, FIELDS, NO_CRC, OFFSET, OWN, SIZE } from '../formats/extentmap.ts';
import type { Piece, Sources } from '../model/extents.ts';

/** How much of a blob is read at once. */
const WINDOW = 512 * 1024;
/** Bytes between two slices that are read along: the headers of a tar archive. */
const GAP = 16 * 1024;

/** A source whose bytes are not what they were, or cannot be read. */
export class BadSource extends Error {
  readonly index: number;

  constructor(index: number, message: string) {
    super(message);
    this.index = index;
  }
}

/**
 * Reads sources, each verified: by its CRC-32 where it has one, else by its SHA-256. Neighbours in the list are often
 * neighbours in their blob too, as the files of a set are, and are then read in one go. Reads are synchronous, and numbers
 * are taken from where they stand: a promise, or an object, for each small file costs many times the read.
 */
export class SourceReader implements Disposable {
  readonly #pathOf: (blob: string) => string;
  readonly #open = new Map<string, number>();
  /** No Buffer: each part of it that is given away would cost as much as to check it. */
  readonly #buffer = new Uint8Array(WINDOW);

  constructor(pathOf: (blob: string) => string) {
    this.#pathOf = pathOf;
  }

  /** The bytes of all sources, in order. Throws `BadSource`, at the latest when the last bytes of one are asked for. */
  *read({ blobs, own, sources, digests }: Sources): Generator<Piece> {
    const count = countSources({ sources });
    // What of which blob is in the buffer.
    let here = OWN;
    let start = 0;
    let end = 0;
    for (let index = 0; index < count; index++) {
      const at = index * FIELDS;
      const blob = sources[at + BLOB]!;
      const offset = sources[at + OFFSET]!;
      const size = sources[at + SIZE]!;
      const crc = sources[at + CRC]!;
      if (blob === OWN) {
        yield { index, from: 0, bytes: own.subarray(offset, offset + size) };
        continue;
      }
      if (size > WINDOW) {
        here = OWN;
        yield* this.#readLarge(index, blobs[blob]!, offset, size, crc, digests);
        continue;
      }
      if (blob !== here || offset < start || offset + size > end) {
        here = blob;
        start = offset;
        end = endOfNeighbours(sources, index);
        this.#fill(index, blobs[blob]!, start, end - start);
      }
      const bytes = this.#buffer.subarray(offset - start, offset - start + size);
      if (crc === NO_CRC ? hashOf('sha256', bytes) !== digestOf(digests, index) : crc32(bytes) !== crc)
        throw damaged(index);
      yield { index, from: 0, bytes };
    }
  }

  *#readLarge(
    index: number,
    blob: string,
    offset: number,
    size: number,
    crc: number,
    digests: Buffer,
  ): Generator<Piece> {
    const hash = crc === NO_CRC ? createHash('sha256') : undefined;
    let sum = 0;
    for (let from = 0; from < size; from += WINDOW) {
      const bytes = this.#fill(index, blob, offset + from, Math.min(WINDOW, size - from));
      if (hash === undefined) sum = crc32(bytes, sum);
      else hash.update(bytes);
      const isLast = from + bytes.length === size;
      if (isLast && (hash === undefined ? sum !== crc : hash.digest('hex') !== digestOf(digests, index)))
        throw damaged(index);
      yield { index, from, bytes };
    }
  }

  #fill(index: number, blob: string, start: number, length: number): Uint8Array {
    try {
      let file = this.#open.get(blob);
      if (file === undefined) {
        file = openSync(this.#pathOf(blob), 'r');
        this.#open.set(blob, file);
      }
      const read = readSync(file, this.#buffer, 0, length, start);
      if (read < length) throw new Error(`it ends at byte ${start + read}`);
    } catch (error) {
      throw new BadSource(index, `cannot be read: ${(error as Error).message}`);
    }
    return this.#buffer.subarray(0, length);
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.values()) closeSync(file);
  }
}

/** Where, in their blob, the slices end that follow a slice, near to each other and within a window. Own bytes may lie between them. */
function endOfNeighbours(sources: Float64Array, first: number): number {
  const blob = sources[first * FIELDS + BLOB]!;
  const start = sources[first * FIELDS + OFFSET]!;
  let end = start + sources[first * FIELDS + SIZE]!;
  for (let at = (first + 1) * FIELDS; at < sources.length - FIELDS; at += FIELDS) {
    if (sources[at + BLOB] === OWN) continue;
    const offset = sources[at + OFFSET]!;
    const next = offset + sources[at + SIZE]!;
    if (sources[at + BLOB] !== blob || offset < end || offset - end >= GAP || next - start > WINDOW) break;
    end = next;
  }
  return end;
}

function digestOf(digests: Buffer, index: number): string {
  return digests.toString('hex', index * DIGEST, (index + 1) * DIGEST);
}

function damaged(index: number): BadSource {
  return new BadSource(index, 'is damaged');
}
