import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Digest } from '../model/artifact.ts';
import { crc32 } from './crc32.ts';

/**
 * A disk as a gzip file whose members (RFC 1952, section 2.2) are its chunks: any gunzip(1) makes the disk of it, and who has
 * an older one fetches only the members that differ. An index tells which chunk lies where. Chunks end where their contents
 * say so, not at fixed places: a file that grew by a block moves all that comes after it, and nothing else.
 */
export interface DiskChunks {
  readonly version: 1;
  /** Of the disk, in bytes. */
  readonly size: number;
  readonly chunks: readonly Chunk[];
}

/** How long its member is, how many bytes of the disk it stands for, and their SHA-256; none if all are zeros. */
export type Chunk = readonly [length: number, size: number, digest?: Digest];

/** File systems move contents by whole blocks; this divides all of them. */
const BLOCK = 1024;
/** What is looked at for zeros, and how much is read at once. */
const UNIT = 64 * 1024;
const WINDOW = 1024 * 1024;
/**
 * How long a chunk is at least and at most: some 64 KiB, since one block in so many ends one. Longer ones would compress
 * better, and hardly ever stay the same: ext2 with its smallest blocks has a table of block numbers each 256 KiB of a file.
 */
const LEAST = 16 * 1024;
const MOST = 1024 * 1024;
const ONE_IN = 48;
const ZEROS = Buffer.alloc(UNIT);
/** Where most of the gain is; 6, the usual level, takes twice as long for a few percent. */
const LEVEL = 4;
/** How many chunks are compressed at once, by zlib's threads. */
const AT_ONCE = 32;

function compress(bytes: Buffer): Promise<Buffer> {
  return promisify<Buffer, object, Buffer>(gzip)(bytes, { level: LEVEL });
}

/** The members of a disk in order, with what the index says of each. `read` gives bytes of the disk. */
export async function* compressDisk(
  size: number,
  read: (position: number, length: number) => Buffer,
): AsyncGenerator<{ member: Buffer; chunk: Chunk }> {
  const zeros = new Map<number, Promise<Buffer>>();
  const zerosOf = (length: number) => {
    const known = zeros.get(length) ?? compress(Buffer.alloc(length));
    zeros.set(length, known);
    return known;
  };
  const pending: { member: Promise<Buffer>; size: number; digest: Digest | undefined }[] = [];
  const next = async (): Promise<{ member: Buffer; chunk: Chunk }> => {
    const { member, size, digest } = pending.shift()!;
    const bytes = await member;
    return { member: bytes, chunk: digest === undefined ? [bytes.length, size] : [bytes.length, size, digest] };
  };
  for (const part of partsOf(size, read)) {
    if (typeof part === 'number') pending.push({ member: zerosOf(part), size: part, digest: undefined });
    else pending.push({ member: compress(part), size: part.length, digest: hash('sha256', part) });
    if (pending.length >= AT_ONCE) yield await next();
  }
  while (pending.length > 0) yield await next();
}

/** The chunks of a disk: their bytes, or how many zeros. */
function* partsOf(size: number, read: (position: number, length: number) => Buffer): Generator<Buffer | number> {
  let pieces: Buffer[] = [];
  let length = 0;
  let zeros = 0;
  const end = () => {
    const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    [pieces, length] = [[], 0];
    return bytes;
  };
  for (let at = 0; at < size; at += WINDOW) {
    const window = read(at, Math.min(WINDOW, size - at));
    for (let from = 0; from < window.length; from += UNIT) {
      const unit = window.subarray(from, from + UNIT);
      if (ZEROS.compare(unit, 0, unit.length, 0, unit.length) === 0) {
        if (length > 0) yield end();
        zeros += unit.length;
        if (zeros >= WINDOW) {
          yield zeros;
          zeros = 0;
        }
        continue;
      }
      if (zeros > 0) yield zeros;
      zeros = 0;
      let taken = 0;
      for (let block = 0; block < unit.length; block += BLOCK) {
        const stop = Math.min(block + BLOCK, unit.length);
        const reached = length + stop - taken;
        const isEnd = reached >= LEAST && crc32(unit.subarray(block, stop)) % ONE_IN === 0;
        if (!isEnd && reached < MOST) continue;
        pieces.push(unit.subarray(taken, stop));
        taken = stop;
        yield end();
      }
      if (taken < unit.length) pieces.push(unit.subarray(taken));
      length += unit.length - taken;
    }
  }
  if (length > 0) yield end();
  if (zeros > 0) yield zeros;
}

/** The bytes of a chunk from its member; undefined if they are not what the index says. */
export async function expandChunk(member: Buffer, [, size, digest]: Chunk): Promise<Buffer | undefined> {
  try {
    const bytes = await promisify<Buffer, object, Buffer>(gunzip)(member, { maxOutputLength: size });
    return bytes.length === size && hash('sha256', bytes) === digest ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** The index that a text is, or undefined: nothing in it is taken on trust. */
export function parseChunks(text: string): DiskChunks | undefined {
  try {
    const { version, size, chunks } = JSON.parse(text) as DiskChunks;
    const isPositive = (n: unknown) => Number.isSafeInteger(n) && (n as number) > 0;
    const isOne = ([length, bytes, digest]: Chunk) =>
      isPositive(length) &&
      isPositive(bytes) &&
      bytes <= MOST &&
      length <= bytes + UNIT &&
      (digest === undefined || /^[0-9a-f]{64}$/.test(digest));
    const isRight = version === 1 && chunks.every(isOne) && chunks.reduce((sum, [, bytes]) => sum + bytes, 0) === size;
    return isRight ? { version, size, chunks } : undefined;
  } catch {
    return undefined;
  }
}
