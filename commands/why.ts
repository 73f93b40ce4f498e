import type { KeyRecord } from '../cache/records.ts';
import { type Difference, differences } from '../engine/explain.ts';
import { isFile } from '../formats/tree.ts';
import { changedLines, diffTrees, type PathChange } from '../formats/treediff.ts';
import type { Entry } from '../model/artifact.ts';
import { noHistory } from '../model/problems.ts';
import type { BlobStore, Step } from '../model/step.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import { type BuildOptions, planTargets } from './build.ts';
import { NO_REMOTE } from './remote.ts';
import { type Caller, openSession, type Session } from './session.ts';

/** Something of a step itself that was another than before. */
export type Cause =
  /** It had never been made in this project. */
  | { readonly kind: 'first' }
  /** Nothing of it changed, but what it had made was gone or touched. */
  | { readonly kind: 'gone' }
  /** What it reads from outside the graph. */
  | { readonly kind: 'source'; readonly source: string; readonly paths: readonly ChangedPath[] }
  | { readonly kind: 'options' | 'tools'; readonly names: readonly string[] }
  /** smol itself does this kind of step in another way now. */
  | { readonly kind: 'version' };

export interface ChangedPath extends Pick<PathChange, 'path' | 'change'> {
  /** Of a text file whose content changed. */
  readonly lines?: number | undefined;
}

/** A step that the last build ran, with its own causes, and the steps before it that made it run. */
export interface Explained {
  readonly step: string;
  readonly causes: readonly Cause[];
  readonly after: readonly string[];
}

export interface Explanation {
  readonly target: string;
  readonly ran: readonly Explained[];
  readonly cached: number;
}

/** Why the last build that did anything ran what it ran, for each target. Throws `no-history`. */
export async function why(caller: Caller, options: BuildOptions): Promise<Explanation[]> {
  const session = await openSession(caller, NO_REMOTE);
  try {
    const targets = await planTargets(session, options);
    return await Promise.all(
      targets.map(async (target): Promise<Explanation> => {
        const steps = stepsOf(goalsOf(graphOf(target, session.project, session.surroundings)));
        const known = steps.filter(({ name }) => session.history.get(name) !== undefined);
        if (known.length === 0) throw noHistory(target.name);
        const ran = known.filter(({ name }) => session.history.get(name)!.ran);
        const explained = await Promise.all(ran.map((step) => explain(step, session)));
        return { target: target.name, ran: explained, cached: known.length - ran.length };
      }),
    );
  } finally {
    session.close();
  }
}

async function explain(step: Step, { history, workshop }: Session): Promise<Explained> {
  const { key, before: last } = history.get(step.name)!;
  const { records, store } = workshop;
  if (last === undefined) return { step: step.name, causes: [{ kind: 'first' }], after: [] };
  const [after, before] = [records.read(key), records.read(last)];
  if (last === key || after === undefined || before === undefined) {
    return { step: step.name, causes: [{ kind: 'gone' }], after: [] };
  }
  const found = differences(before, after);
  const inputs = found.find(({ part }) => part === 'inputs')?.names ?? [];
  const causes = await Promise.all(
    found.filter(({ part }) => part !== 'inputs').map((difference) => causeOf(difference, step, before, after, store)),
  );
  return { step: step.name, causes, after: inputs.flatMap((name) => step.inputs[name]?.name ?? []) };
}

async function causeOf(
  { part, names }: Difference,
  step: Step,
  before: KeyRecord,
  after: KeyRecord,
  store: BlobStore,
): Promise<Cause> {
  if (part === 'options' || part === 'tools') return { kind: part, names };
  if (part !== 'source') return { kind: 'version' };
  return { kind: 'source', source: step.source?.name ?? '', paths: await changedPaths(before, after, store) };
}

/** What differs between two trees that a step made; nothing if they are no trees, or the cache has lost one. */
async function changedPaths(before: KeyRecord, after: KeyRecord, store: BlobStore): Promise<ChangedPath[]> {
  if (before.output.kind !== 'tree' || after.output.kind !== 'tree') return [];
  try {
    const changes = diffTrees(await store.readTree(before.output), await store.readTree(after.output));
    return await Promise.all(
      changes.map(async ({ path, change, before: old, after: now }) => {
        const isText = change === 'content' && old !== undefined && now !== undefined && isFile(old) && isFile(now);
        return {
          path,
          change,
          lines: isText ? changedLines(await text(old, store), await text(now, store)) : undefined,
        };
      }),
    );
  } catch {
    return [];
  }
}

async function text(entry: Entry, store: BlobStore): Promise<string> {
  return (await store.readEntry(entry, new AbortController().signal)).toString('utf8');
}
