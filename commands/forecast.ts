import { type Forecast, forecast, type State } from '../engine/forecast.ts';
import { urgencies } from '../engine/urgency.ts';
import type { Step } from '../model/step.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { type BuildOptions, planTargets } from './build.ts';
import { NO_REMOTE } from './remote.ts';
import { type Caller, openSession, type Session } from './session.ts';

/** A step as a build would find it. */
export interface PlannedStep {
  readonly step: string;
  readonly kind: string;
  /** `failed`: it is to be run, and failed when that was last tried with the same key. */
  readonly state: State | 'failed';
  readonly key?: string | undefined;
  /** The names of the steps whose outputs it takes. */
  readonly inputs: readonly string[];
  /** Where its bytes are to be taken from, if it is to fetch any, and how many there are, if it is pinned. */
  readonly from?: string | undefined;
  readonly download?: number | undefined;
  /** How long it took the last time that it was run, and what it made then: milliseconds and bytes. */
  readonly last?: { readonly ms: number; readonly size: number } | undefined;
}

/** The graph of services with what a build would do. */
export interface Plan {
  /** Inputs before what uses them. */
  readonly steps: readonly PlannedStep[];
  /** What of it is to be done, as far as earlier builds and pins tell; what is only perhaps to be done counts too. */
  readonly predicted: {
    /** Milliseconds of the longest path, and how many steps nobody has timed yet. */
    readonly ms: number;
    readonly untimed: number;
    /** Bytes to fetch, and of how many sources nobody knows the size yet. */
    readonly download: number;
    readonly unpinned: number;
  };
}

/** The graph of services with what a build would do. Has no effects. */
export async function plan(caller: Caller, options: BuildOptions): Promise<Plan> {
  const session = await openSession(caller, NO_REMOTE);
  try {
    const { project, surroundings, workshop } = session;
    const targets = await planTargets(session, options);
    const steps = stepsOf(targets.flatMap((target) => goalsOf(graphOf(target, project, surroundings))));
    const found = await forecast(steps, workshop, session.knownTool);
    const planned = found.map((each) => plannedStep(each, session));
    return { steps: planned, predicted: predict(steps, planned) };
  } finally {
    session.close();
  }
}

function plannedStep({ step, state, key }: Forecast, { workshop, history, surroundings }: Session): PlannedStep {
  const last = (key === undefined ? undefined : workshop.records.read(key)) ?? history.get(step.name);
  const pin =
    state !== 'cached' && step.source?.from !== undefined ? surroundings.pins.get(step.source.name) : undefined;
  return {
    step: step.name,
    kind: step.task.kind,
    state: state !== 'cached' && history.hasFailed(step.name, key) ? 'failed' : state,
    key,
    inputs: Object.values(step.inputs).map(({ name }) => name),
    ...(state !== 'cached' && { from: step.source?.from, download: pin?.size }),
    last: last && { ms: last.ms, size: last.output.size },
  };
}

function predict(steps: readonly Step[], planned: readonly PlannedStep[]): Plan['predicted'] {
  const todo = new Map(planned.filter(({ state }) => state !== 'cached').map((each) => [each.step, each]));
  const remaining = urgencies(steps, ({ name }) => todo.get(name)?.last?.ms ?? 0);
  const fetches = [...todo.values()].filter(({ from }) => from !== undefined);
  return {
    ms: Math.max(0, ...remaining.values()),
    untimed: [...todo.values()].filter(({ last }) => last === undefined).length,
    download: fetches.reduce((sum, { download = 0 }) => sum + download, 0),
    unpinned: fetches.filter(({ download }) => download === undefined).length,
  };
}
