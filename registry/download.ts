import { createHash, hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type Chunk, type DiskChunks, expandChunk } from '../formats/diskchunks.ts';
import { type Descriptor, digestOf } from '../formats/oci.ts';
import { writeAll } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import { archiveBomb, registryAnswered } from '../model/problems.ts';
import type { Repository } from './repository.ts';

/** A disk that is here already, whose chunks need not be fetched again. */
export interface Seed {
  readonly file: string;
  readonly index: DiskChunks;
}

/** Chunks that lie one after the other in a layer, and are fetched in one go. */
interface Run {
  readonly from: number;
  readonly length: number;
  readonly chunks: readonly Missing[];
}

interface Missing {
  readonly chunk: Chunk;
  /** Where its member lies in the layer, and its bytes on the disk. */
  readonly at: number;
  readonly position: number;
}

/** How many runs are fetched at once, and how long one may be: bytes. */
const AT_ONCE = 4;
const LONGEST_RUN = 4 * 1024 * 1024;
/** How many chunks of a run are unpacked at once. */
const TOGETHER = 8;
/** Members that are not needed, but rather fetched than skipped: bytes. */
const GAP = 32 * 1024;

/** What a layer may unpack to at most: bytes. */
const LARGEST_FILE = 16 * 1024 ** 3;

/** A layer as a file of its bytes as they are, its digest checked; `isPacked` ones are unpacked. Gives the bytes that came. */
export async function downloadFile(
  repository: Repository,
  { digest, size }: Descriptor,
  file: string,
  isPacked: boolean,
): Promise<number> {
  const { chunks } = await repository.blob(digest);
  const digesting = createHash('sha256');
  const checked = async function* () {
    for await (const chunk of chunks) {
      digesting.update(chunk);
      yield chunk;
    }
  };
  const bounded = async function* (bytes: AsyncIterable<Buffer>) {
    let written = 0;
    for await (const chunk of bytes) {
      written += chunk.length;
      if (written > LARGEST_FILE) throw archiveBomb(repository.name, LARGEST_FILE);
      yield chunk;
    }
  };
  const source = Readable.from(checked());
  const unpacked = isPacked ? source.pipe(createGunzip()) : source;
  source.on('error', (error) => unpacked.destroy(error));
  try {
    await pipeline(unpacked, bounded, createWriteStream(file));
  } catch (error) {
    // What zlib cannot read is not what was pushed.
    if (String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw damaged(repository, digest);
    throw error;
  }
  if (digestOf(digesting.digest('hex')) !== digest) throw damaged(repository, digest);
  return size;
}

/**
 * A disk of chunks as a new file with holes. What a seed has is taken from it; every chunk is checked, wherever it came from.
 * Gives the bytes that came from the registry.
 */
export async function downloadDisk(
  repository: Repository,
  layer: Descriptor,
  index: DiskChunks,
  file: string,
  seed: Seed | undefined,
  progress: (done: number, total: number) => void,
): Promise<number> {
  const disk = await open(file, 'wx');
  try {
    await disk.truncate(index.size);
    const missing = await plant(disk, index, seed);
    const runs = runsOf(missing);
    const total = runs.reduce((sum, { length }) => sum + length, 0);
    let done = 0;
    const fetchNext = async () => {
      for (let run = runs.shift(); run !== undefined; run = runs.shift()) {
        const bytes = await fetchRun(repository, layer, run);
        for (let n = 0; n < run.chunks.length; n += TOGETHER) {
          const some = run.chunks.slice(n, n + TOGETHER);
          await Promise.all(some.map((chunk) => unpack(disk, chunk, run, bytes, repository, layer)));
        }
        done += run.length;
        progress(done, total);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, fetchNext));
    return total;
  } finally {
    await disk.close();
  }
}

/** Puts in place what the seed has, and gives what is missing. */
async function plant(disk: FileHandle, index: DiskChunks, seed: Seed | undefined): Promise<Missing[]> {
  using source = seed === undefined ? undefined : new ImageFile(seed.file);
  const known = seed === undefined ? new Map<string, number>() : placesIn(seed.index);
  const missing: Missing[] = [];
  let [at, position] = [0, 0];
  for (const chunk of index.chunks) {
    const [length, size, digest] = chunk;
    const from = digest === undefined ? undefined : known.get(digest);
    const bytes = from === undefined ? undefined : bytesAt(source!, from, size, digest!);
    if (bytes !== undefined) await writeAll(disk, position, bytes);
    else if (digest !== undefined) missing.push({ chunk, at, position });
    at += length;
    position += size;
  }
  return missing;
}

/** Where on its disk each chunk of an index lies, by its digest. */
function placesIn({ chunks }: DiskChunks): Map<string, number> {
  const places = new Map<string, number>();
  let position = 0;
  for (const [, size, digest] of chunks) {
    if (digest !== undefined) places.set(digest, position);
    position += size;
  }
  return places;
}

/** Bytes of a seed, if they are still what its index says. */
function bytesAt(source: ImageFile, from: number, size: number, digest: string): Buffer | undefined {
  if (from + size > source.size) return undefined;
  const bytes = source.read(from, size);
  return hash('sha256', bytes) === digest ? bytes : undefined;
}

function runsOf(missing: readonly Missing[]): Run[] {
  const runs: { from: number; length: number; chunks: Missing[] }[] = [];
  for (const each of missing) {
    const last = runs.at(-1);
    const [length] = each.chunk;
    const isNear =
      last !== undefined && each.at - last.from - last.length <= GAP && each.at + length - last.from <= LONGEST_RUN;
    if (isNear) {
      last.length = each.at + length - last.from;
      last.chunks.push(each);
    } else {
      runs.push({ from: each.at, length, chunks: [each] });
    }
  }
  return runs;
}

/** The bytes of a run. A registry that gives no parts gives all, of which the rest is dropped. */
async function fetchRun(repository: Repository, { digest, size }: Descriptor, run: Run): Promise<Buffer> {
  const reply = await repository.blob(digest, run);
  const skipped = reply.status === 206 ? 0 : run.from;
  const bytes = await reply.bytes(reply.status === 206 ? run.length : size);
  return bytes.subarray(skipped, skipped + run.length);
}

async function unpack(
  disk: FileHandle,
  { chunk, at, position }: Missing,
  run: Run,
  bytes: Buffer,
  repository: Repository,
  layer: Descriptor,
): Promise<void> {
  const member = bytes.subarray(at - run.from, at - run.from + chunk[0]);
  const unpacked = await expandChunk(member, chunk);
  if (unpacked === undefined) throw damaged(repository, layer.digest);
  await writeAll(disk, position, unpacked);
}

function damaged(repository: Repository, digest: string) {
  return registryAnswered(repository.name, 200, `other bytes than ${digest} says`);
}
