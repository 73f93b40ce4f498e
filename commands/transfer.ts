import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { type Member, readTarball, writeTarball } from '../formats/tarball.ts';
import { asProblem, makeDirectory, pieces, whole } from '../host/files.ts';
import { cacheRoot } from '../host/paths.ts';
import { type Artifact, blobsOf, type Digest } from '../model/artifact.ts';
import { Problem } from '../model/problem.ts';
import { brokenExport, noSuchFile } from '../model/problems.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { type BuildOptions, buildTargets, planTargets } from './build.ts';
import { type Caller, openSession } from './session.ts';

/** The first member of an export; its version is raised when older ones can no longer be read. */
const HEAD = { name: 'smol-cache', text: '{"format":1}\n' };
const RECORD = /^steps\/([0-9a-f]{64})\.json$/;
const BLOB = /^blobs\/([0-9a-f]{64})$/;

export interface Transfer {
  readonly steps: number;
  readonly blobs: number;
  /** Bytes of the blobs. */
  readonly size: number;
}

export interface ExportOptions extends BuildOptions {
  /** Take what was fetched too. Everything that was made of it is taken in any case. */
  readonly downloads?: boolean | undefined;
}

/** Writes what the targets are made of, and nothing else of the cache, to one file: a tar archive. Builds what is missing. */
export async function exportCache(caller: Caller, file: string, options: ExportOptions): Promise<Transfer> {
  const session = await openSession(caller, options);
  try {
    const { project, surroundings, workshop } = session;
    const targets = await planTargets(session, options);
    await buildTargets(session, targets, options);
    const steps = stepsOf(targets.flatMap((target) => goalsOf(graphOf(target, project, surroundings))));
    const engine = session.engine({});
    const keys: Digest[] = [];
    const artifacts: Artifact[] = [];
    for (const step of steps) {
      keys.push((await engine.realise(step)).key);
      if (step.task.pool !== 'net' || options.downloads) artifacts.push(await engine.provide(step));
    }
    const store = workshop.store as Store;
    const blobs = [...new Set(artifacts.flatMap(blobsOf))].sort();
    const sizes = new Map(blobs.map((blob) => [blob, store.size(blob)]));
    await writeWhole(file, writeTarball(membersOf(keys.sort(), blobs, sizes, workshop.records, store)), caller.signal);
    return { steps: keys.length, blobs: blobs.length, size: [...sizes.values()].reduce((sum, n) => sum + n, 0) };
  } finally {
    session.close();
  }
}

/** Adds what an export holds to the cache. Each blob and record is verified; throws `broken-export` at the first bad one. */
export async function importCache({ signal }: Pick<Caller, 'signal'>, file: string): Promise<Transfer> {
  const root = makeDirectory(cacheRoot());
  const [store, records] = [new Store(root), new Records(root)];
  let [steps, blobs, size] = [0, 0, 0];
  let isFirst = true;
  try {
    for await (const { name, content } of readTarball(pieces(file, signal))) {
      if (isFirst !== (name === HEAD.name)) throw brokenExport(file, 'it is no export of a cache');
      const [key, digest] = [RECORD.exec(name)?.[1], BLOB.exec(name)?.[1]];
      if (digest !== undefined) {
        const accept = (found: Digest) => {
          if (found !== digest) throw brokenExport(file, `${name} is not what its name says`);
        };
        size += (await store.putChunks(content, { accept })).size;
        blobs++;
      } else {
        const text = (await whole(content)).toString();
        if (isFirst && text !== HEAD.text) throw brokenExport(file, 'a newer version of smol wrote it');
        if (key !== undefined) {
          if (!records.take(key, text)) throw brokenExport(file, `${name} is damaged`);
          steps++;
        }
      }
      isFirst = false;
    }
    if (isFirst) throw brokenExport(file, 'it is empty');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof Problem || signal.aborted) throw error;
    if (code === 'ENOENT') throw noSuchFile(file);
    throw code === undefined ? brokenExport(file, message) : asProblem(error, file);
  }
  return { steps, blobs, size };
}

async function* membersOf(
  keys: readonly Digest[],
  blobs: readonly Digest[],
  sizes: ReadonlyMap<Digest, number>,
  records: Records,
  store: Store,
): AsyncGenerator<Member> {
  const text = (name: string, content: string): Member => {
    const bytes = Buffer.from(content);
    return {
      name,
      size: bytes.length,
      content: (async function* () {
        yield bytes;
      })(),
    };
  };
  yield text(HEAD.name, HEAD.text);
  for (const key of keys) {
    const record = records.text(key);
    if (record !== undefined) yield text(`steps/${key}.json`, record);
  }
  for (const blob of blobs) {
    yield { name: `blobs/${blob}`, size: sizes.get(blob)!, content: pieces(await store.verifiedFile(blob)) };
  }
}

/** A file that is there whole or not at all. */
async function writeWhole(file: string, bytes: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await pipeline(bytes, createWriteStream(temporary), { signal });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asProblem(error, file);
  }
}
