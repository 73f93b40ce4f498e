import { requirePrograms } from '../host/programs.ts';
import { problemsOf } from '../model/problem.ts';
import { forwardsOf } from '../plan/machine.ts';
import { chooseArch, resolveTarget, type Target } from '../plan/target.ts';
import { EMULATORS } from '../vm/machine.ts';
import { Registry, type VmRecord } from '../vm/registry.ts';
import { assertReadable, assertStartable, type BootOptions, boot } from './boot.ts';
import { type Built, buildTargets, type Strictness } from './build.ts';
import { type Caller, openSession, type Session } from './session.ts';
import { rounds } from './watch.ts';

export interface RunOptions extends BootOptions, Strictness {
  readonly service: string;
  readonly arch?: string | undefined;
  /** The name of the VM; by default that of the service. */
  readonly name?: string | undefined;
}

/** Builds a service and runs it until its VM ends, the signal is aborted, or, detached, until it answers. */
export async function run(caller: Caller, options: RunOptions): Promise<VmRecord> {
  const session = await openSession(caller, options);
  try {
    const { project } = session;
    const arch = await chooseArch(project, options.arch);
    const target = await resolveTarget(project, await project.service(options.service), arch);
    const registry = await prepared(caller, session, target, options);
    const [built] = await buildTargets(session, [target], { ...options, toBoot: true });
    return await boot(caller, session, registry, built!, nameOf(options), options);
  } finally {
    session.close();
  }
}

/** Builds and runs a service, and starts its VM anew after each change of what it is made of, until the signal is aborted. */
export async function watchRun(caller: Caller, options: RunOptions): Promise<void> {
  const { service, arch, frozen, offline } = options;
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
function started(caller: Caller, session: Session, built: Built, options: RunOptions): () => Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([caller.signal, stop.signal]);
  const work = async () => {
    const registry = await prepared(caller, session, built.target, options);
    await boot({ ...caller, signal }, session, registry, built, nameOf(options), options);
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

/** Where the VM is to be noted. Throws what would keep it from starting, before anything is built for it. */
async function prepared(caller: Caller, { project }: Session, target: Target, options: RunOptions): Promise<Registry> {
  const registry = new Registry(project.state);
  await assertReadable(target, options);
  await assertStartable(registry, nameOf(options), forwardsOf(target, options));
  // QEMU is asked for before the build: who lacks it should not wait for a build to hear so.
  await requirePrograms([EMULATORS[target.arch]], caller.emit, caller.signal);
  return registry;
}

function nameOf({ name, service }: RunOptions): string {
  return name ?? service;
}

/** What a VM was started with: if it is the same, there is nothing to start anew for. */
function standsFor({ image, kernel, initrd, target }: Built): string {
  return JSON.stringify([image.key, kernel, initrd, target.run]);
}
