import type { Pin } from '../manifest/lock.ts';
import { ARCHS } from '../model/arch.ts';
import { noSuchPin } from '../model/problems.ts';
import type { Step } from '../model/step.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { sourceStep } from '../plan/sources.ts';
import { resolveTarget } from '../plan/target.ts';
import { fetch } from '../tasks/fetch.ts';
import { recallPackages } from './packages.ts';
import { type Caller, openSession, type Session } from './session.ts';

export interface Move {
  readonly source: string;
  readonly before: Pin;
  readonly after: Pin;
}

/**
 * Moves pins to what their sources are now. `wanted` is the name of a source or of a service, or undefined for every pin
 * of the project's services. If a source cannot be had, its old pin stays.
 */
export async function update(caller: Caller, wanted: string | undefined): Promise<Move[]> {
  const session = await openSession(caller);
  try {
    const { project, surroundings } = session;
    const { pins } = surroundings;
    const services = project.services();
    const isService = wanted !== undefined && services.includes(wanted);
    const fetches = await fetchSteps(session, isService ? [wanted] : services);
    for (const url of isService ? [] : pins.allRecorded()) {
      const step = sourceStep({ source: url, base: project.root }, surroundings);
      fetches.set(step.name, step);
    }
    const pinned = [...fetches.values()].filter(({ source }) => pins.get(source!.name) !== undefined);
    const chosen = pinned.filter(({ source }) => wanted === undefined || isService || source!.name === wanted);
    if (wanted !== undefined && chosen.length === 0) throw noSuchPin(wanted, [...services, ...pins.names()]);
    const moves: Move[] = [];
    for (const step of chosen) {
      const source = step.source!.name;
      const before = pins.get(source)!;
      await pins.change({ [source]: undefined });
      try {
        await session.engine({}).realise(step);
      } finally {
        if (pins.get(source) === undefined) await pins.change({ [source]: before });
      }
      moves.push({ source, before, after: pins.get(source)! });
    }
    return moves;
  } finally {
    session.close();
  }
}

/** The steps that fetch something for any of the services, for any architecture that it can be built for. */
async function fetchSteps(session: Session, services: readonly string[]): Promise<Map<string, Step>> {
  const { project, surroundings } = session;
  const found = new Map<string, Step>();
  for (const name of services) {
    for (const arch of ARCHS) {
      const service = await project.service(name);
      // A service that is not made for an architecture, or that is wrong, has no pins to move.
      const target = await resolveTarget(project, service, arch).catch(() => undefined);
      if (target === undefined) continue;
      await recallPackages(session, [target]);
      for (const step of stepsOf(goalsOf(graphOf(target, project, surroundings)))) {
        if (step.task === fetch) found.set(step.name, step);
      }
    }
  }
  return found;
}
