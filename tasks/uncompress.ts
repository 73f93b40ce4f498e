import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import { createGunzip } from 'node:zlib';
import { pieces } from '../host/files.ts';
import { run } from '../host/process.ts';
import { Problem } from '../model/problem.ts';
import { archiveBomb, brokenArchive } from '../model/problems.ts';
import { CorruptBlob, type StepContext } from '../model/step.ts';

/** What is compressed, as its bytes. */

export type Compression = 'none' | 'gzip' | 'xz';

/** The programs of the host that a compression takes. */
export const UNCOMPRESSORS: Readonly<Record<Compression, readonly string[]>> = { none: [], gzip: [], xz: ['xz'] };

const CHUNK = 1024 * 1024;
/** What becomes larger than this, and than so many times itself, is a bomb: zeros are packed 1000 to 1. */
const HARMLESS = 1024 ** 3;
const LARGEST_RATIO = 100;

/** How much a file may become, in bytes, and what throws `archive-bomb` when it becomes more. */
export class Bound {
  readonly limit: number;
  readonly #name: string;
  #size = 0;

  /** `name` is what people call it. */
  constructor(file: string, name: string) {
    this.limit = Math.max(HARMLESS, LARGEST_RATIO * statSync(file).size);
    this.#name = name;
  }

  count(bytes: number): void {
    this.#size += bytes;
    if (this.#size > this.limit) throw archiveBomb(this.#name, this.limit);
  }
}

/** The bytes of a file. What writes them to a file of its own is stopped a little above the bound. */
export async function uncompressed(
  file: string,
  compression: Compression,
  bound: Bound,
  context: StepContext,
): Promise<AsyncIterable<Buffer>> {
  const { signal } = context;
  if (compression === 'none') return pieces(file, signal);
  if (compression === 'xz') {
    // The program writes to a file, not to a pipe of ours, which is several times slower.
    return byProgram(bound, context, (stdout, limits) =>
      run('xz', ['-dc', '-T0', '--no-sparse'], { stdin: file, stdout, ...limits }),
    );
  }
  const gunzip = createGunzip({ chunkSize: CHUNK });
  const source = createReadStream(file, { highWaterMark: CHUNK });
  source.on('error', (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

/** What a program of the host writes to a file, whose limit is a little above the bound. */
export async function byProgram(
  { limit }: Bound,
  context: StepContext,
  work: (file: string, limits: { signal: AbortSignal; fileLimit: number }) => Promise<unknown>,
): Promise<AsyncIterable<Buffer>> {
  const { signal } = context;
  const file = path.join(await context.scratch(), 'uncompressed');
  try {
    // A sector more than it may have, so that who reads it sees that there is too much. Holes would not count.
    await work(file, { signal, fileLimit: limit + 512 });
  } catch (error) {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) <= limit) throw error;
  }
  return pieces(file, signal);
}

/** Does what reads something compressed; throws `broken-archive` where that is what is wrong. */
export async function reading<T>(name: string, context: StepContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof CorruptBlob) throw error;
    if (error instanceof Problem && error.code !== 'program-failed') throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== undefined && !(code.startsWith('Z_') || code === 'program-failed')) throw error;
    throw brokenArchive(name, (error instanceof Problem && error.parts.detail) || message);
  }
}
