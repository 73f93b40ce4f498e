import { rename } from 'node:fs/promises';
import path from 'node:path';
import type { KeyRecord, Records } from '../cache/records.ts';
import type { RemoteCache } from '../cache/remote.ts';
import type { Store } from '../cache/store.ts';
import type { Artifact, Digest } from '../model/artifact.ts';
import type { Emit } from '../model/event.ts';
import type { Json } from '../model/json.ts';
import { foreignAction, noSuchAction } from '../model/problems.ts';
import { CorruptBlob, type Step, type Task } from '../model/step.ts';
import { FORMAT, partsOf } from './key.ts';
import { Scratch } from './scratch.ts';

/** What a host has that runs a step which another one gave away. */
export interface Worker {
  readonly store: Store;
  readonly records: Records;
  readonly remote: RemoteCache | undefined;
  /** For scratch directories. */
  readonly scratch: string;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly toolDigest: (program: string) => Promise<Digest>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface ActionOptions {
  readonly key: Digest;
  /** What its record is to say that it is called. */
  readonly name: string;
  /** Where the file goes that it makes, if it is not for the store. */
  readonly publish?: string | undefined;
}

/** How long a blob may take to come: milliseconds. */
const PATIENCE = 10 * 60 * 1000;

/**
 * Runs a step by its key alone. The key is the digest of a blob, which says all that went into it: so whoever sees the cache
 * can run any step. Throws `no-such-action` and `foreign-action`, and what the step itself throws.
 */
export async function perform(worker: Worker, { key, name, publish }: ActionOptions): Promise<KeyRecord> {
  const { store, records, remote, emit, signal } = worker;
  const parts = partsOf((await bytesOf(key, worker))?.toString() ?? '');
  if (parts === undefined) throw noSuchAction(key);
  const task = worker.tasks.get(String(parts.task));
  const options = parts.options ?? {};
  const step = { name, options, inputs: {} } as unknown as Step;
  await assertSame(key, parts, task, step, worker);
  const inputs: Record<string, Artifact> = {};
  for (const [input, text] of Object.entries(parts.inputs as Record<string, string>)) {
    inputs[input] = await artifactOf(text, worker);
  }
  await using scratch = new Scratch(publish === undefined ? worker.scratch : path.dirname(publish));
  const log: string[] = [];
  const started = performance.now();
  const output = await task!.run({
    key,
    options,
    inputs,
    store,
    signal,
    scratch: scratch.get,
    log: (line) => {
      log.push(line);
      emit({ type: 'step-log', step: name, line });
    },
    progress: (done, total) => emit({ type: 'step-progress', step: name, done, ...(total !== undefined && { total }) }),
  });
  signal.throwIfAborted();
  if (output.kind === 'publication') {
    if (publish === undefined) throw foreignAction(key, 'it makes a file, and --publish does not say where');
    await rename(path.join(await scratch.get(), output.file), publish);
  }
  const ms = Math.round(performance.now() - started);
  const record: KeyRecord = { format: FORMAT, step: name, key, parts, output, log, ms };
  records.write(record);
  if (remote?.writes && output.kind !== 'publication') await remote.offer(record, store);
  return record;
}

/** Throws `foreign-action` if what would run here is not what the key says. */
async function assertSame(
  key: Digest,
  parts: Readonly<Record<string, Json>>,
  task: Task | undefined,
  step: Step,
  { toolDigest }: Worker,
): Promise<void> {
  if (parts.source !== null) throw foreignAction(key, 'it reads what only the host has that gave it away');
  if (task === undefined || parts.format !== FORMAT || parts.version !== task.version) {
    throw foreignAction(key, `this smol has no task ${String(parts.task)} of version ${String(parts.version)}`);
  }
  const tools = parts.tools as Record<string, Digest>;
  for (const program of task.tools?.(step) ?? []) {
    if (tools[program] !== (await toolDigest(program))) throw foreignAction(key, `its ${program} is another one`);
  }
}

/** An artifact as a key names it, with all that it stands for in the store. */
async function artifactOf(text: string, worker: Worker): Promise<Artifact> {
  const { store } = worker;
  const [kind, digest = ''] = text.split(' ');
  await present(digest, worker);
  if (kind === 'blob') return { kind, digest, size: store.size(digest) };
  const { blobs, length } = await store.readIndex({ digest });
  await Promise.all(blobs.map((blob) => present(blob, worker)));
  return { kind: 'tree', digest, size: store.size(digest), blobs, entries: length };
}

async function present(digest: Digest, { store, remote }: Worker): Promise<void> {
  if (store.has(digest) || (await remote?.bring(digest, PATIENCE, store)) === 'brought') return;
  throw new CorruptBlob(digest, 'is not in this cache');
}

async function bytesOf(digest: Digest, worker: Worker): Promise<Buffer | undefined> {
  try {
    await present(digest, worker);
    return await worker.store.readBytes(digest);
  } catch (error) {
    if (error instanceof CorruptBlob) return undefined;
    throw error;
  }
}
