import type { Step } from '../model/step.ts';

/** What a step that nobody has timed yet is taken for: milliseconds. Then the longest chain of steps goes first. */
const UNTIMED_MS = 1000;

/**
 * How long, in milliseconds, the work is that cannot begin before each step is done, with its own: the longest path from
 * it to any goal. `steps` are all that lead to the goals, inputs first; `lastMs` is how long one took the last time.
 */
export function urgencies(
  steps: readonly Step[],
  lastMs: (step: Step) => number | undefined,
): ReadonlyMap<string, number> {
  const after = new Map<string, number>();
  const found = new Map<string, number>();
  for (const step of steps.toReversed()) {
    const remaining = (after.get(step.name) ?? 0) + (lastMs(step) ?? UNTIMED_MS);
    found.set(step.name, remaining);
    for (const { name } of Object.values(step.inputs)) after.set(name, Math.max(after.get(name) ?? 0, remaining));
  }
  return found;
}
