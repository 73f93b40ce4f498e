import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Projects } from '../cache/projects.ts';
import { Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { Tally } from '../cache/tally.ts';
import { Engine, type EngineOptions } from '../engine/engine.ts';
import { History } from '../engine/history.ts';
import { Publications } from '../engine/publications.ts';
import { sweepScratch } from '../engine/scratch.ts';
import type { Workshop } from '../engine/workshop.ts';
import { FileDigests } from '../host/digests.ts';
import { makeDirectory } from '../host/files.ts';
import { cacheRoot, ownCommand } from '../host/paths.ts';
import { programDigest, requiredDigest } from '../host/programs.ts';
import { Pins } from '../manifest/lock.ts';
import { Project } from '../manifest/project.ts';
import type { Emit } from '../model/event.ts';
import type { Surroundings } from '../plan/sources.ts';
import { Recorder } from '../report/recorder.ts';
import { accessOf, type CacheUse, openRemote } from './remote.ts';

/** What every command gets from its caller: where it was called, whom to tell, and when to stop. */
export interface Caller {
  /** The directory that the project is looked for in, upwards. */
  readonly folder: string;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** A project that is open for building. */
export interface Session {
  readonly project: Project;
  readonly surroundings: Surroundings;
  readonly workshop: Workshop;
  /** The digest of a program that is on this host already. */
  knownTool(program: string): Promise<string | undefined>;
  readonly history: History;
  readonly tally: Tally;
  engine(options: EngineOptions): Engine;
  /** To be told of everything, so that a trace of it can be left. */
  readonly emit: Emit;
  /** To be called when the work is done, however it went. */
  close(): void;
}

export interface SessionOptions extends CacheUse {
  /** Keep off the network. */
  readonly offline?: boolean | undefined;
  /** How many steps may compute, or write, at once. */
  readonly jobs?: number | undefined;
}

export async function openSession(
  { folder, emit: tell, signal }: Caller,
  { offline = false, jobs, ...use }: SessionOptions = {},
): Promise<Session> {
  const recorder = new Recorder();
  const emit = recorder.around(tell);
  const project = await Project.find(folder);
  const cache = cacheRoot();
  makeDirectory(cache);
  makeDirectory(project.state);
  const scratch = path.join(cache, 'scratch');
  await sweepScratch(scratch);
  await sweepScratch(project.images);
  new Projects(cache).add(project.root);
  const digests = new FileDigests(path.join(cache, 'digests.json'));
  const { pools = {}, mirrors = {} } = project.config.value;
  const workshop: Workshop = {
    store: new Store(cache),
    records: new Records(cache),
    remote: offline ? undefined : await openRemote(project, use, { emit, signal }),
    history: new History(path.join(project.state, 'history')),
    publications: new Publications(project.state),
    pools: { net: 4, cpu: availableParallelism(), disk: 2, vm: 1, ...pools, ...(jobs && { cpu: jobs, disk: jobs }) },
    executor: executorOf(project),
    scratch,
    locks: path.join(cache, 'locks'),
    toolDigest: (program) => requiredDigest(program, digests, emit, signal),
    emit,
    signal,
  };
  const surroundings: Surroundings = {
    root: project.root,
    mirrors,
    pins: await Pins.read(project.root, project.memory),
    digests,
    aptState: path.join(cache, 'apt'),
    offline,
    resolved: new Map(),
  };
  return {
    emit,
    project,
    surroundings,
    workshop,
    tally: new Tally(cache),
    history: workshop.history,
    knownTool: (program) => programDigest(program, digests),
    engine: (options) => new Engine(workshop, { ...options, anew: accessOf(use.cache).local === 'w' }),
    close: () => {
      digests.save();
      recorder.save(project.state);
    },
  };
}

/** What the configuration says runs steps elsewhere. */
function executorOf({ config, root }: Project): Workshop['executor'] {
  const executor = config.value.executor;
  if (executor === undefined) return undefined;
  const { command, kinds, slots, retries, smol = ownCommand() } = executor;
  return { command, kinds: kinds!, slots: slots!, retries: retries!, smol, cwd: root };
}
