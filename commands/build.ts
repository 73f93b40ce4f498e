import type { Outcome } from '../engine/engine.ts';
import type { Digest } from '../model/artifact.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { chooseArch, resolveTarget, type Target } from '../plan/target.ts';
import { type Caller, openSession, type Session } from './session.ts';

export interface BuildOptions {
  readonly services: readonly string[];
  readonly arch?: string | undefined;
}

/** A target whose image is in place. */
export interface Built {
  readonly target: Target;
  readonly image: Outcome;
  readonly kernel: Digest;
  readonly initrd: Digest | undefined;
}

/** Builds the images of services. Throws the problems of the first step that fails. */
export async function build(caller: Caller, options: BuildOptions): Promise<Built[]> {
  const session = await openSession(caller);
  try {
    const targets = await planTargets(session, options);
    return await buildTargets(session, targets, caller);
  } finally {
    session.close();
  }
}

/** The targets that are meant. Throws what is wrong with any of them. */
export async function planTargets({ project }: Session, options: BuildOptions): Promise<Target[]> {
  const arch = await chooseArch(project, options.arch);
  const services = await Promise.all(options.services.map((name) => project.service(name)));
  return Promise.all(services.map((service) => resolveTarget(project, service, arch)));
}

/** Builds targets in one graph, whose common steps are done once. */
export async function buildTargets(
  session: Session,
  targets: readonly Target[],
  { emit }: Pick<Caller, 'emit'>,
): Promise<Built[]> {
  const graphs = targets.map((target) => graphOf(target, session.project, session.surroundings));
  const steps = stepsOf(graphs.flatMap(goalsOf));
  const started = performance.now();
  emit({ type: 'build-started', targets: targets.map(({ name }) => name), steps: steps.length });
  const engine = session.engine();
  let ok = false;
  try {
    const built = await Promise.all(
      targets.map(async (target, n): Promise<Built> => {
        const [image, kernel, initrd] = await Promise.all(goalsOf(graphs[n]!).map((goal) => engine.realise(goal)));
        const { digest, size } = image!.artifact;
        emit({ type: 'image', target: target.name, file: target.image, size, digest, cached: image!.cached });
        return { target, image: image!, kernel: kernel!.artifact.digest, initrd: initrd?.artifact.digest };
      }),
    );
    // Only now: a kernel that the cache has lost is made again before anything boots it.
    await Promise.all(graphs.flatMap(goalsOf).map((goal) => engine.provide(goal)));
    ok = true;
    return built;
  } finally {
    await engine.settle();
    const ran = engine.done.filter((step) => step.ran).length;
    const cached = engine.done.length - ran;
    session.history.note(engine.done);
    emit({ type: 'build-finished', ok, ran, cached, ms: performance.now() - started });
  }
}
