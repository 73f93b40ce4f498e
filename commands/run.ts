import { isReference } from '../formats/reference.ts';
import { stateRoot } from '../host/paths.ts';
import { requirePrograms } from '../host/programs.ts';
import { Project } from '../manifest/project.ts';
import type { Json } from '../model/json.ts';
import { problemsOf } from '../model/problem.ts';
import { nothingToRun } from '../model/problems.ts';
import { chooseArch, resolveTarget } from '../plan/target.ts';
import { EMULATORS, type Machine } from '../vm/machine.ts';
import { Registry, type VmRecord } from '../vm/registry.ts';
import { forwardsOf, type Runnable } from '../vm/runnable.ts';
import { assertReadable, assertStartable, type BootOptions, boot, plannedMachine } from './boot.ts';
import { type Bootable, bootableOf, bootableOfFiles, bootableOfPulled, type NamedFiles } from './bootable.ts';
import { type Built, buildTargets, type Strictness } from './build.ts';
import { pullOrRecall } from './pull.ts';
import { type Caller, openSession, type Session } from './session.ts';
import { rounds } from './watch.ts';

export interface RunOptions extends BootOptions, NamedFiles, Strictness {
  /** What to build and run, or an image in a registry; without it a kernel must be named. */
  readonly service?: string | undefined;
  readonly arch?: string | undefined;
  /** The name of the VM; by default that of the service, or of the image. */
  readonly name?: string | undefined;
  /** Of an image in a registry: a file with the public key of who must have signed it. */
  readonly key?: string | undefined;
}

/** The VMs of the project that a folder is in, or of no project. */
export async function registryFor({ folder }: Pick<Caller, 'folder'>): Promise<Registry> {
  return new Registry(Project.has(folder) ? (await Project.find(folder)).state : stateRoot());
}

/**
 * Builds a service, or takes the files that were named, and runs that until its VM ends, the signal is aborted, or,
 * detached, until it answers.
 */
export async function run(caller: Caller, options: RunOptions): Promise<VmRecord> {
  const { registry, bootable, name } = await prepare(caller, options);
  return boot(caller, registry, bootable, name, options, optionsToKeep(options));
}

/** The machine for the same. Builds what it needs, and starts nothing. */
export async function machineToRun(caller: Caller, options: RunOptions): Promise<Machine> {
  const { registry, bootable, name } = await prepare(caller, options);
  return plannedMachine(caller, registry, bootable, name, options);
}

async function prepare(
  caller: Caller,
  options: RunOptions,
): Promise<{ registry: Registry; bootable: Bootable; name: string }> {
  const { service, kernel } = options;
  if (service === undefined) {
    if (kernel === undefined) throw nothingToRun();
    const bootable = await bootableOfFiles(caller, { ...options, kernel });
    const name = options.name ?? bootable.runnable.name;
    return { registry: await prepared(caller, bootable.runnable, name, options), bootable, name };
  }
  if (isReference(service)) {
    const bootable = await bootableOfPulled(
      caller,
      await pullOrRecall(caller, { ...options, reference: service }),
      options,
    );
    const name = options.name ?? bootable.runnable.name;
    return { registry: await prepared(caller, bootable.runnable, name, options), bootable, name };
  }
  const name = options.name ?? service;
  const session = await openSession(caller, options);
  try {
    const { project } = session;
    const target = await resolveTarget(
      project,
      await project.service(service),
      await chooseArch(project, options.arch),
    );
    const registry = await prepared(caller, target, name, options);
    const [built] = await buildTargets(session, [target], { ...options, toBoot: true });
    return { registry, bootable: await bootableOf(caller, session, built!, options), name };
  } finally {
    session.close();
  }
}

/** Where the VM is to be noted. Throws what would keep it from starting, before anything is built for it. */
async function prepared(caller: Caller, runnable: Runnable, name: string, options: RunOptions): Promise<Registry> {
  const registry = await registryFor(caller);
  await assertReadable(runnable, options);
  await assertStartable(registry, name, forwardsOf(runnable, options));
  // QEMU is asked for before the build: who lacks it should not wait for a build to hear so.
  await requirePrograms([EMULATORS[runnable.arch]], caller.emit, caller.signal);
  return registry;
}

/** What is needed to start the same again. */
function optionsToKeep({ input: _, detach: __, fresh: ___, during: ____, grow: _____, ...rest }: RunOptions): Json {
  return JSON.parse(JSON.stringify(rest)) as Json;
}

/** Builds and runs a service, and starts its VM anew after each change of what it is made of, until the signal is aborted. */
export async function watchRun(caller: Caller, options: RunOptions & { readonly service: string }): Promise<void> {
  const { service, arch, frozen, offline, cache, requireCache } = options;
  const notices = new Set<string>();
  const emit: Caller['emit'] = (event) => {
    // What is true of this host is not told at every start.
    const isKnown = event.type === 'notice' && notices.has(event.text);
    if (event.type === 'notice') notices.add(event.text);
    if (!isKnown) caller.emit(event);
  };
  // Its disk goes with it, unless it is the image.
  const wishes = { ...options, abruptly: !options.direct };
  let running: { readonly stands: string; end(): Promise<void> } | undefined;
  try {
    for await (const { session, built } of rounds(caller, {
      services: [service],
      arch,
      frozen,
      offline,
      cache,
      requireCache,
      toBoot: true,
    })) {
      const stands = standsFor(built[0]!);
      if (running?.stands === stands) continue;
      await running?.end();
      running = { stands, end: started({ ...caller, emit }, session, built[0]!, wishes) };
    }
  } finally {
    await running?.end();
  }
}

/** Starts a VM and gives what ends it. What goes wrong with the VM is told: the next change may mend it. */
function started(
  caller: Caller,
  session: Session,
  built: Built,
  options: RunOptions & { readonly service: string },
): () => Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([caller.signal, stop.signal]);
  const work = async () => {
    const name = options.name ?? options.service;
    const registry = await prepared(caller, built.target, name, options);
    const bootable = await bootableOf(caller, session, built, options);
    await boot({ ...caller, signal }, registry, bootable, name, options, optionsToKeep(options));
  };
  const over = work().catch((error: unknown) => {
    const problems = problemsOf(error);
    if (problems.length === 0) throw error;
    for (const problem of problems) caller.emit({ type: 'problem', problem });
  });
  return async () => {
    stop.abort();
    await over;
  };
}

/** What a VM was started with: if it is the same, there is nothing to start anew for. */
function standsFor({ image, kernel, initrd, target }: Built): string {
  return JSON.stringify([image.key, kernel, initrd, target.run]);
}
