import { forecast } from '../engine/forecast.ts';
import { CorruptBlob, type Step } from '../model/step.ts';
import { stepsOf } from '../plan/graph.ts';
import { resolutionOf } from '../plan/packages.ts';
import type { Target } from '../plan/target.ts';
import { resolvedPackages } from '../tasks/resolve.ts';
import type { Session } from './session.ts';

/** The steps that choose packages for targets, of which it is not known yet what they choose. */
export function unresolved(session: Session, targets: readonly Target[]): Step[] {
  const { surroundings } = session;
  const steps = targets.flatMap((target) => resolutionOf(target, surroundings) ?? []);
  return stepsOf(steps).filter((step) => steps.includes(step) && !surroundings.resolved.has(step.name));
}

/** Finds out which packages targets have, as far as it was chosen before. Has no effects. */
export async function recallPackages(session: Session, targets: readonly Target[]): Promise<void> {
  const steps = unresolved(session, targets);
  if (steps.length === 0) return;
  const { workshop, knownTool, surroundings } = session;
  for (const { step, state, artifact } of await forecast(stepsOf(steps), workshop, knownTool)) {
    if (state !== 'cached' || artifact === undefined || !steps.includes(step)) continue;
    try {
      surroundings.resolved.set(step.name, resolvedPackages(await workshop.store.readBytes(artifact.digest)));
    } catch (error) {
      // What the cache has lost is chosen again.
      if (!(error instanceof CorruptBlob)) throw error;
    }
  }
}

/** Chooses the packages of targets. */
export async function choosePackages(session: Session, steps: readonly Step[]): Promise<void> {
  const engine = session.engine({});
  for (const step of steps) {
    const { digest } = await engine.provide(step);
    session.surroundings.resolved.set(step.name, resolvedPackages(await session.workshop.store.readBytes(digest)));
  }
  await engine.settle();
  session.history.note(engine.done, engine.failed);
}
