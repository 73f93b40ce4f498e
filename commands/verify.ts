import path from 'node:path';
import { Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { Engine } from '../engine/engine.ts';
import { History } from '../engine/history.ts';
import { Publications } from '../engine/publications.ts';
import { type Made, mismatch } from '../engine/reproduce.ts';
import { Scratch } from '../engine/scratch.ts';
import { elsewhere } from '../host/elsewhere.ts';
import { makeDirectory, pieces } from '../host/files.ts';
import type { Artifact } from '../model/artifact.ts';
import { type Problem, Problems } from '../model/problem.ts';
import { notReproducible } from '../model/problems.ts';
import type { Step, Task } from '../model/step.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { type BuildOptions, buildTargets, planTargets } from './build.ts';
import { type Caller, openSession, type Session } from './session.ts';

/**
 * Builds, and then runs every step again with an empty cache, in another directory, at another date, and compares what
 * came out byte for byte. Only downloads are not repeated: they are held to their pins. Throws `not-reproducible` for
 * each step that made something else of the same inputs.
 */
export async function verify(caller: Caller, options: BuildOptions): Promise<void> {
  const session = await openSession(caller, options);
  try {
    const { project, surroundings, workshop, emit } = session;
    const targets = await planTargets(session, options);
    await buildTargets(session, targets, options);
    const started = performance.now();
    const steps = stepsOf(targets.flatMap((target) => goalsOf(graphOf(target, project, surroundings))));
    // The images of the second run lie beside those of the first: the cache may have no room for them.
    await using scratch = new Scratch(path.dirname(targets[0]!.image));
    const folder = await scratch.get();
    const first = await made(steps, session.engine(options), workshop.store);
    const second = await again(steps, first, folder, session);
    const wrong = await differences(steps, first, second);
    if (wrong.length > 0) throw new Problems(wrong);
    emit({ type: 'verified', steps: steps.filter(isRepeated).length, ms: performance.now() - started });
  } finally {
    session.close();
  }
}

/** Whether a step is run again: not where it fetches what a pin says. */
function isRepeated({ task }: Step): boolean {
  return task.pool !== 'net';
}

/** What each step makes, one after the other, by their names, all of it in the store. */
async function made(steps: readonly Step[], engine: Engine, store: Made['store']): Promise<Map<string, Made>> {
  const found = new Map<string, Made>();
  for (const step of steps) {
    const artifact = await engine.provide(step);
    const names = Object.entries(step.inputs);
    const inputs: Record<string, Artifact> = {};
    for (const [name, input] of names) inputs[name] = found.get(input.name)!.artifact;
    found.set(step.name, { artifact, store, file: step.publish, inputs });
  }
  return found;
}

/** The same steps in an empty cache that has only what was fetched. */
async function again(
  steps: readonly Step[],
  first: ReadonlyMap<string, Made>,
  folder: string,
  { workshop }: Session,
): Promise<Map<string, Made>> {
  const store = new Store(folder);
  const images = makeDirectory(path.join(folder, 'images'));
  const moved = new Map<string, Step>();
  for (const step of steps) {
    const inputs = Object.fromEntries(
      Object.entries(step.inputs).map(([name, input]) => [name, moved.get(input.name)!]),
    );
    const publish = step.publish && path.join(images, path.basename(step.publish));
    // One after the other, as `made` asks for them: what `elsewhere` changes is the whole process's.
    const task: Task = { ...step.task, run: (context) => elsewhere(folder, () => step.task.run(context)) };
    moved.set(step.name, { ...step, task, inputs, publish });
    const { artifact } = first.get(step.name)!;
    if (!isRepeated(step)) await store.putChunks(pieces(await workshop.store.verifiedFile(artifact.digest)));
  }
  const quiet = new Engine({
    ...workshop,
    // Nobody else's results, and nobody else's hosts.
    remote: undefined,
    executor: undefined,
    store,
    records: new Records(folder),
    history: new History(path.join(folder, 'history')),
    publications: new Publications(folder),
    scratch: path.join(folder, 'scratch'),
    locks: path.join(folder, 'locks'),
    emit: () => undefined,
  });
  return made([...moved.values()], quiet, store);
}

/** A problem for each step that made something else though nothing before it did. */
async function differences(
  steps: readonly Step[],
  first: ReadonlyMap<string, Made>,
  second: ReadonlyMap<string, Made>,
): Promise<Problem[]> {
  const differ = new Set<string>();
  const wrong: Problem[] = [];
  for (const step of steps) {
    if (Object.values(step.inputs).some(({ name }) => differ.has(name))) {
      differ.add(step.name);
      continue;
    }
    const found = await mismatch(step, first.get(step.name)!, second.get(step.name)!);
    if (found === undefined) continue;
    differ.add(step.name);
    wrong.push(notReproducible(step.name, found.where, found.byte));
  }
  return wrong;
}
