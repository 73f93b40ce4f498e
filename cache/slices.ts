import { createHash, hash as hashOf } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Slice } from '../model/artifact.ts';

/** How much of a blob is read at once. */
const WINDOW = 512 * 1024;
/** Bytes between two slices that are read along: the headers of a tar archive. */
const GAP = 16 * 1024;

/** A slice whose bytes are not what they were, or cannot be read. */
export class BadSlice extends Error {
  /** Which of those that were read. */
  readonly index: number;

  constructor(index: number, message: string) {
    super(message);
    this.index = index;
  }
}

/** So many bytes of a slice, from its byte `from` on; valid until the next ones. */
export interface Piece {
  /** Which of the slices. */
  readonly index: number;
  readonly from: number;
  readonly bytes: Buffer;
}

/**
 * How many of the slices, from one on, lie one after the other in their blob, near to each other and within a window: as
 * neighbours in a list often do, which are files of one set. At least one, which may be larger than a window.
 */
function neighbours(slices: readonly Slice[], first: number): number {
  const { blob, offset, size } = slices[first]!;
  let end = offset + size;
  let n = first + 1;
  for (; n < slices.length; n++) {
    const next = slices[n]!;
    const isNear = next.blob === blob && next.offset >= end && next.offset - end < GAP;
    if (!isNear || next.offset + next.size - offset > WINDOW) break;
    end = next.offset + next.size;
  }
  return n - first;
}

/**
 * Reads slices of blobs, each verified: by its CRC-32 where it has one, else by its SHA-256. Reads are synchronous: of what is in the page cache, a promise for each small file
 * costs many times the read.
 */
export class SliceReader implements Disposable {
  readonly #pathOf: (blob: string) => string;
  readonly #open = new Map<string, number>();
  readonly #buffer = Buffer.allocUnsafeSlow(WINDOW);

  constructor(pathOf: (blob: string) => string) {
    this.#pathOf = pathOf;
  }

  /** The bytes of slices, none of them empty, in order. Throws `BadSlice`, at the latest when the last bytes of one are asked for. */
  *read(slices: readonly Slice[]): Generator<Piece> {
    for (let first = 0; first < slices.length; ) {
      const { blob, offset, size } = slices[first]!;
      if (size > WINDOW) {
        yield* this.#readLarge(slices[first]!, first);
        first++;
        continue;
      }
      const last = first + neighbours(slices, first) - 1;
      const window = this.#fill(first, blob, offset, slices[last]!.offset + slices[last]!.size - offset);
      for (; first <= last; first++) {
        const slice = slices[first]!;
        const at = slice.offset - offset;
        const bytes = window.subarray(at, at + slice.size);
        const isSame = slice.crc === undefined ? hashOf('sha256', bytes) === slice.digest : crc32(bytes) === slice.crc;
        if (!isSame) throw damaged(first);
        yield { index: first, from: 0, bytes };
      }
    }
  }

  *#readLarge(slice: Slice, index: number): Generator<Piece> {
    const { blob, offset, size } = slice;
    const hash = slice.crc === undefined ? createHash('sha256') : undefined;
    let crc = 0;
    for (let from = 0; from < size; from += WINDOW) {
      const bytes = this.#fill(index, blob, offset + from, Math.min(WINDOW, size - from));
      if (hash === undefined) crc = crc32(bytes, crc);
      else hash.update(bytes);
      const isLast = from + bytes.length === size;
      if (isLast && (hash === undefined ? crc !== slice.crc : hash.digest('hex') !== slice.digest))
        throw damaged(index);
      yield { index, from, bytes };
    }
  }

  #fill(index: number, blob: string, start: number, length: number): Buffer {
    try {
      let file = this.#open.get(blob);
      if (file === undefined) {
        file = openSync(this.#pathOf(blob), 'r');
        this.#open.set(blob, file);
      }
      const read = readSync(file, this.#buffer, 0, length, start);
      if (read < length) throw new Error(`it ends at byte ${start + read}`);
    } catch (error) {
      throw new BadSlice(index, `cannot be read: ${(error as Error).message}`);
    }
    return this.#buffer.subarray(0, length);
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.values()) closeSync(file);
  }
}

function damaged(index: number): BadSlice {
  return new BadSlice(index, 'is damaged');
}
