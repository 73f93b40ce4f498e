import path from 'node:path';
import { Watcher } from '../host/watch.ts';
import { problemsOf } from '../model/problem.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import type { Target } from '../plan/target.ts';
import { type BuildOptions, type Built, buildTargets, planTargets } from './build.ts';
import { type Caller, openSession, type Session } from './session.ts';

export interface WatchOptions extends BuildOptions {
  /** Have the kernels in the store too. */
  readonly toBoot?: boolean | undefined;
}

/** A build that went well, in a session that is open until the next one is asked for. */
export interface Round {
  readonly session: Session;
  readonly built: readonly Built[];
}

/**
 * Builds, and builds again whenever something that the targets are made of was changed, until the signal is aborted.
 * Problems are told and wait to be mended; thrown is only what no saved file can mend: a name that is none.
 */
export async function* rounds(caller: Caller, options: WatchOptions): AsyncGenerator<Round> {
  const { signal } = caller;
  using watcher = new Watcher();
  let changed: readonly string[] = [];
  for (let isFirst = true; ; isFirst = false) {
    const started = performance.now();
    let ran = 0;
    const emit: Caller['emit'] = (event) => {
      if (event.type === 'build-finished') ran = event.ran;
      caller.emit(event);
    };
    try {
      const session = await openSession({ ...caller, emit }, options);
      try {
        watcher.look(ofProject(session));
        const targets = await planTargets(session, options);
        watcher.look([...ofProject(session), ...ofTargets(targets, session)]);
        const built = await buildTargets(session, targets, options);
        const ms = performance.now() - started;
        const from = changed.map((file) => path.relative(session.project.root, file));
        if (!isFirst) emit({ type: 'rebuilt', targets: targets.map(({ name }) => name), changed: from, ran, ms });
        yield { session, built };
      } finally {
        session.close();
      }
    } catch (error) {
      const problems = problemsOf(error);
      const isHopeless = problems.length === 0 || (isFirst && problems.some(({ parts }) => parts.kind === 'usage'));
      if (isHopeless || signal.aborted) throw error;
      // An input that was saved while it was read is about to be read again.
      const isStale = watcher.hasNews() && problems.every(({ code }) => code === 'input-changed');
      if (!isStale) for (const problem of problems) caller.emit({ type: 'problem', problem });
    }
    if (isFirst) caller.emit({ type: 'watching' });
    changed = await watcher.changes(signal);
    if (signal.aborted) return;
  }
}

/** Builds services, and again after each change, until the signal is aborted. */
export async function watchBuild(caller: Caller, options: BuildOptions): Promise<void> {
  for await (const _ of rounds(caller, options)) {
    // each is told by its events
  }
}

/** What any build of a project may read. What builds write, images and state, is not among it. */
function ofProject({ project }: Session): string[] {
  const folders = ['services', 'sets', 'kernels'].map((folder) => path.join(project.root, folder));
  return [project.config.file, ...folders];
}

/** The files and folders of the host that the steps of targets read. */
function ofTargets(targets: readonly Target[], { project, surroundings }: Session): string[] {
  const steps = stepsOf(targets.flatMap((target) => goalsOf(graphOf(target, project, surroundings))));
  return steps.flatMap(({ source }) => source?.path ?? []);
}
