import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import { createGunzip } from 'node:zlib';
import { TarIndexer } from '../formats/tar.ts';
import { extractDataArchive } from '../host/apt.ts';
import { pieces } from '../host/files.ts';
import { run } from '../host/process.ts';
import type { Blob } from '../model/artifact.ts';
import { Problem } from '../model/problem.ts';
import { archiveBomb, brokenArchive } from '../model/problems.ts';
import { CorruptBlob, type Step, type StepContext, type Task } from '../model/step.ts';

const CHUNK = 1024 * 1024;
/** An archive that becomes larger than this, and than so many times itself, is a bomb: zeros are packed 1000 to 1. */
const HARMLESS = 1024 ** 3;
const LARGEST_RATIO = 100;

type Form = 'tar' | 'tar.gz' | 'tar.xz' | 'deb';
interface Options {
  /** The source's name, for messages. */
  readonly archive: string;
  readonly form: Form;
}

/** An archive as a tree: one blob with the uncompressed archive, and an index of what lies where in it. */
export const unpack: Task = {
  kind: 'unpack',
  version: 1,
  summary: 'an archive (tar, tgz, tar.xz, deb) as a tree',
  pool: 'cpu',
  tools: (step) =>
    ({ tar: [], 'tar.gz': [], 'tar.xz': ['xz'], deb: ['dpkg-deb'] })[(step.options as unknown as Options).form],
  async run(context: StepContext) {
    const { archive, form } = context.options as unknown as Options;
    const packed = await context.store.verifiedFile((context.inputs.archive as Blob).digest);
    const limit = Math.max(HARMLESS, LARGEST_RATIO * statSync(packed).size);
    let size = 0;
    try {
      const tar = await TarIndexer.open(archive);
      const blob = await context.store.putChunks(await uncompressed(packed, form, limit, context), {
        tap: (chunk) => {
          size += chunk.length;
          if (size > limit) throw archiveBomb(archive, limit);
          return tar.write(chunk);
        },
      });
      const entries = (await tar.end())(blob.digest);
      return await context.store.putTree(entries);
    } catch (error) {
      context.signal.throwIfAborted();
      if (error instanceof CorruptBlob) throw error;
      if (error instanceof Problem && error.code !== 'program-failed') throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== undefined && !(code.startsWith('Z_') || code === 'program-failed')) throw error;
      throw brokenArchive(archive, (error instanceof Problem && error.parts.detail) || message);
    }
  },
};

export function unpackStep(archive: string, form: Form, fetched: Step): Step {
  const options: Options = { archive, form };
  return { name: `unpack ${archive}`, task: unpack, options: { ...options }, inputs: { archive: fetched } };
}

/** What kind of archive a name says it is; undefined if none that can be unpacked. */
export function archiveForm(name: string): Form | undefined {
  if (/\.(tar\.xz|txz)$/.test(name)) return 'tar.xz';
  if (/\.(tar\.gz|tgz)$/.test(name)) return 'tar.gz';
  if (name.endsWith('.tar')) return 'tar';
  return name.startsWith('apt:') || name.endsWith('.deb') ? 'deb' : undefined;
}

async function uncompressed(
  file: string,
  form: Form,
  limit: number,
  context: StepContext,
): Promise<AsyncIterable<Buffer>> {
  const { signal } = context;
  if (form === 'tar') return pieces(file, signal);
  if (form === 'tar.gz') {
    const gunzip = createGunzip({ chunkSize: CHUNK });
    const source = createReadStream(file, { highWaterMark: CHUNK });
    source.on('error', (error) => gunzip.destroy(error));
    return source.pipe(gunzip);
  }
  // The program writes to a file, not to a pipe of ours, which is several times slower.
  const tar = path.join(await context.scratch(), 'archive.tar');
  // A sector more than it may have, so that who reads it sees that there is too much. Holes would not count.
  const limits = { signal, fileLimit: limit + 512 };
  try {
    if (form === 'tar.xz') await run('xz', ['-dc', '-T0', '--no-sparse'], { stdin: file, stdout: tar, ...limits });
    else await extractDataArchive(file, tar, limits);
  } catch (error) {
    if ((statSync(tar, { throwIfNoEntry: false })?.size ?? 0) <= limit) throw error;
  }
  return pieces(tar, signal);
}
