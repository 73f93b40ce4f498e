import path from 'node:path';
import { type KeyRecord, Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { perform } from '../engine/action.ts';
import { FileDigests } from '../host/digests.ts';
import { makeDirectory } from '../host/files.ts';
import { cacheRoot } from '../host/paths.ts';
import { requiredDigest } from '../host/programs.ts';
import { Project } from '../manifest/project.ts';
import { blobsOf } from '../model/artifact.ts';
import { noSuchAction } from '../model/problems.ts';
import { CorruptBlob } from '../model/step.ts';
import { KINDS } from '../tasks/kinds.ts';
import { openRemote } from './remote.ts';
import type { Caller } from './session.ts';

export interface StepOptions {
  readonly key: string;
  readonly name?: string | undefined;
  /** Where the file goes that it makes. */
  readonly publish?: string | undefined;
}

/**
 * Runs one step by its key, as an executor's host does: what it is made of comes from the cache, shared as a directory or as
 * the remote cache of the project that the working directory is in, if it is in one. What is done already is not done again.
 */
export async function runStep(caller: Caller, { key, name = key, publish }: StepOptions): Promise<KeyRecord> {
  const { folder, emit, signal } = caller;
  const cache = makeDirectory(cacheRoot());
  const [store, records] = [new Store(cache), new Records(cache)];
  const digests = new FileDigests(path.join(cache, 'digests.json'));
  const known = publish === undefined ? records.read(key) : undefined;
  if (known !== undefined && blobsOf(known.output).every((blob) => store.has(blob))) return known;
  const remote = Project.has(folder) ? await openRemote(await Project.find(folder), {}, caller) : undefined;
  const toolDigest = (program: string) => requiredDigest(program, digests, emit, signal);
  const scratch = path.join(cache, 'scratch');
  const worker = { store, records, remote, scratch, tasks: KINDS, toolDigest, emit, signal };
  try {
    return await perform(worker, { key, name, publish: publish && path.resolve(folder, publish) });
  } catch (error) {
    // Nobody here knows how to make it again.
    if (error instanceof CorruptBlob) throw noSuchAction(key);
    throw error;
  } finally {
    digests.save();
  }
}
