import type { EngineOptions, Outcome } from '../engine/engine.ts';
import { forecast } from '../engine/forecast.ts';
import { urgencies } from '../engine/urgency.ts';
import type { Digest } from '../model/artifact.ts';
import { Problems, problemsOf } from '../model/problem.ts';
import * as problems from '../model/problems.ts';
import type { Step } from '../model/step.ts';
import { type Goals, goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { archsOf, chooseArch, resolveTarget, type Target } from '../plan/target.ts';
import { RemoteSource } from '../tasks/fetch.ts';
import { RecordedSource } from '../tasks/recorded.ts';
import { buildLog } from './buildlog.ts';
import { collectSometimes } from './cache.ts';
import { choosePackages, recallPackages, unresolved } from './packages.ts';
import type { CacheUse } from './remote.ts';
import { type Caller, openSession, type Session, type SessionOptions } from './session.ts';

/** How far a build may go to get what it needs. */
export interface Strictness extends CacheUse {
  /** Take nothing that has no pin yet. */
  readonly frozen?: boolean | undefined;
  /** Take nothing from the network. */
  readonly offline?: boolean | undefined;
}

export interface BuildOptions extends Strictness, EngineOptions, SessionOptions {
  readonly services: readonly string[];
  /** `all` means every architecture that a service is made for. */
  readonly arch?: string | undefined;
}

/** A target whose image is in place. */
export interface Built {
  readonly target: Target;
  readonly image: Outcome;
  readonly kernel: Digest;
  readonly initrd: Digest | undefined;
}

/**
 * Builds the images of services. Throws the problems of the first step that fails. `accept` sees the targets first, and may
 * throw.
 */
export async function build(
  caller: Caller,
  options: BuildOptions,
  accept: (target: Target) => void = () => undefined,
): Promise<Built[]> {
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, options);
    targets.forEach(accept);
    return await buildTargets(session, targets, options);
  } finally {
    session.close();
  }
}

/** The targets that are meant. Throws what is wrong with any of them. */
export async function planTargets(session: Session, options: BuildOptions): Promise<Target[]> {
  const { project } = session;
  const services = await Promise.all(options.services.map((name) => project.service(name)));
  const found = await Promise.all(
    services.map(async (service) => {
      const archs =
        options.arch === 'all' ? await archsOf(project, service) : [await chooseArch(project, options.arch)];
      return Promise.all(archs.map((arch) => resolveTarget(project, service, arch)));
    }),
  );
  await recallPackages(session, found.flat());
  return found.flat();
}

/** The graphs of targets, and all their steps. Chooses packages where that was not done yet; throws `unpinned` and `offline`. */
export async function graphsOf(
  session: Session,
  targets: readonly Target[],
  options: Strictness,
): Promise<{ graphs: Goals[]; steps: Step[] }> {
  const choices = unresolved(session, targets);
  if (choices.length > 0) {
    await assertAllowed(stepsOf(choices), session, options);
    await choosePackages(session, choices);
  }
  const graphs = targets.map((target) => graphOf(target, session.project, session.surroundings));
  const steps = stepsOf(graphs.flatMap(goalsOf));
  await assertAllowed(steps, session, options);
  return { graphs, steps };
}

/** Builds targets in one graph, whose common steps are done once. */
export async function buildTargets(
  session: Session,
  targets: readonly Target[],
  options: Strictness & EngineOptions & { readonly toBoot?: boolean },
): Promise<Built[]> {
  const { emit } = session;
  const { graphs, steps } = await graphsOf(session, targets, options);
  const started = performance.now();
  emit({ type: 'build-started', targets: targets.map(({ name }) => name), steps: steps.length });
  const lastMs = ({ name }: Step) => session.history.get(name)?.ms;
  const engine = session.engine({ ...options, urgencies: () => urgencies(steps, lastMs) });
  let ok = false;
  try {
    const built = await all(
      targets.map(async (target, n): Promise<Built> => {
        const [image, kernel, initrd] = await Promise.all(goalsOf(graphs[n]!).map((goal) => engine.realise(goal)));
        const { digest, size } = image!.artifact;
        emit({ type: 'image', target: target.name, file: target.image, size, digest, cached: image!.cached });
        return { target, image: image!, kernel: kernel!.artifact.digest, initrd: initrd?.artifact.digest };
      }),
    );
    // A kernel that the cache has lost is made again before anything boots it.
    if (options.toBoot) await Promise.all(graphs.flatMap(goalsOf).map((goal) => engine.provide(goal)));
    ok = true;
    return built;
  } finally {
    await engine.settle();
    const hits = engine.done.filter((step) => !step.ran);
    const ran = engine.done.length - hits.length;
    const cached = hits.length;
    session.tally.add({ steps: cached, ms: hits.reduce((sum, { ms }) => sum + ms, 0) });
    session.history.note(engine.done, engine.failed);
    if (ran > 0) collectSometimes(session);
    const ms = performance.now() - started;
    if (ran > 0 || !ok) {
      const names = targets.map(({ name }) => name);
      buildLog(session.project.state).add({ targets: names, at: Date.now(), ms: Math.round(ms), ok, ran, cached });
    }
    const remote = session.workshop.remote?.summary();
    emit({ type: 'build-finished', ok, ran, cached, ms, ...(remote && { remote }) });
  }
}

/** What all promises give. Waits for all of them, and throws what went wrong with any; each mistake once. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  const errors = new Set(settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : [])));
  const problems = [...errors].flatMap((error) => problemsOf(error));
  const [first] = errors;
  if (errors.size > 0) throw problems.length < errors.size ? first : new Problems(problems);
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

/** Throws `unpinned` and `offline` with all sources that a strict build may not take, before it does anything. */
async function assertAllowed(
  steps: readonly Step[],
  { workshop, knownTool, surroundings }: Session,
  { frozen, offline = false }: Strictness,
): Promise<void> {
  const remote = steps.filter(({ source }) => source instanceof RemoteSource && source.isRemote);
  // In CI pins are frozen once there are any: a first build anywhere has nothing to freeze.
  const isFrozen = frozen ?? (process.env.CI === 'true' && surroundings.pins.names().length > 0);
  if (isFrozen) {
    for (const { source } of steps) if (source instanceof RecordedSource) source.isFrozen = true;
    const known = await Promise.all(remote.map(({ source }) => source!.known()));
    const names = remote.filter((_, n) => known[n] === undefined).map(({ source }) => source!.name);
    if (names.length > 0) throw problems.unpinned(names);
  }
  if (offline) {
    const found = await forecast(steps, workshop, knownTool);
    const names = found
      .filter(({ step, state }) => state === 'run' && remote.includes(step))
      .map(({ step }) => step.source!.name);
    if (names.length > 0) throw problems.offline(names);
  }
}
