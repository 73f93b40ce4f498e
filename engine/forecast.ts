import type { Artifact, Digest } from '../model/artifact.ts';
import type { Step } from '../model/step.ts';
import { keyed } from './keyed.ts';
import type { Workshop } from './workshop.ts';

/**
 * What a build would do with a step. `cached`: nothing. `run`: it. `maybe`: that depends on what comes out of a step
 * before it, since an output that is the same as ever stops the cascade.
 */
export type State = 'cached' | 'run' | 'maybe';

export interface Forecast {
  readonly step: Step;
  readonly state: State;
  readonly key?: Digest | undefined;
  /** Known of what is cached. */
  readonly artifact?: Artifact | undefined;
}

/** What a build of these steps would do, in their order: inputs first. Nothing is fetched, run, installed or written. */
export async function forecast(
  steps: readonly Step[],
  workshop: Pick<Workshop, 'history' | 'records' | 'publications'>,
  knownTool: (program: string) => Promise<Digest | undefined>,
): Promise<Forecast[]> {
  const found = new Map<string, Forecast>();
  for (const step of steps) found.set(step.name, await forecastOf(step, found, workshop, knownTool));
  return [...found.values()];
}

async function forecastOf(
  step: Step,
  before: ReadonlyMap<string, Forecast>,
  { history, records, publications }: Pick<Workshop, 'history' | 'records' | 'publications'>,
  knownTool: (program: string) => Promise<Digest | undefined>,
): Promise<Forecast> {
  const inputs: Record<string, Artifact> = {};
  for (const [name, input] of Object.entries(step.inputs)) {
    const { artifact } = before.get(input.name)!;
    if (artifact === undefined) return { step, state: 'maybe' };
    inputs[name] = artifact;
  }
  const identity = await step.source?.known();
  if (step.source !== undefined && identity === undefined) return { step, state: 'run' };
  const tools: Record<string, Digest> = {};
  for (const program of step.task.tools?.(step) ?? []) {
    const digest = await knownTool(program);
    if (digest === undefined) return { step, state: 'run' };
    tools[program] = digest;
  }
  const { key } = keyed(step, inputs, identity, tools);
  const record = history.recall(step.name, key) ?? records.read(key);
  if (record === undefined) return { step, state: 'run', key };
  const isInPlace = step.publish === undefined || publications.isInPlace(step.publish, key);
  return { step, state: isInPlace ? 'cached' : 'run', key, artifact: record.output };
}
