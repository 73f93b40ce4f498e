import { type Forecast, forecast, type State } from '../engine/forecast.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { type BuildOptions, planTargets } from './build.ts';
import { type Caller, openSession } from './session.ts';

/** A step as a build would find it. */
export interface PlannedStep {
  readonly step: string;
  readonly kind: string;
  readonly state: State;
  readonly key?: string | undefined;
  /** The names of the steps whose outputs it takes. */
  readonly inputs: readonly string[];
  /** How long it took the last time that it was run, and what it made then: milliseconds and bytes. */
  readonly last?: { readonly ms: number; readonly size: number } | undefined;
}

/** The graph of services with what a build would do, inputs first. Has no effects. */
export async function plan(caller: Caller, options: BuildOptions): Promise<PlannedStep[]> {
  const session = await openSession(caller);
  try {
    const { project, surroundings, workshop, history, knownTool } = session;
    const targets = await planTargets(session, options);
    const steps = stepsOf(targets.flatMap((target) => goalsOf(graphOf(target, project, surroundings))));
    const found = await forecast(steps, workshop, knownTool);
    return found.map(({ step, state, key }: Forecast): PlannedStep => {
      const record = workshop.records.read(key ?? '') ?? workshop.records.read(history.get(step.name)?.key ?? '');
      return {
        step: step.name,
        kind: step.task.kind,
        state,
        key,
        inputs: Object.values(step.inputs).map(({ name }) => name),
        last: record && { ms: record.ms, size: record.output.size },
      };
    });
  } finally {
    session.close();
  }
}
