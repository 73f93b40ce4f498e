import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bytesOf, type Collection, collect, type Usage, usage } from '../cache/collect.ts';
import { Projects } from '../cache/projects.ts';
import { Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { type Hits, Tally } from '../cache/tally.ts';
import { History } from '../engine/history.ts';
import { cacheRoot } from '../host/paths.ts';
import { Project } from '../manifest/project.ts';
import type { Digest } from '../model/artifact.ts';
import { parseSize } from '../model/words.ts';
import { sweepPulled } from './pull.ts';
import type { Caller, Session } from './session.ts';

/** How often a build looks whether the cache has grown too large: milliseconds. */
const EVERY_MS = 10 * 60 * 1000;

export interface CacheReport extends Usage {
  readonly folder: string;
  readonly limit: number;
  /** What the last builds of each project keep, in bytes: it is not evicted. */
  readonly projects: readonly { readonly folder: string; readonly bytes: number }[];
  readonly hits: Hits;
}

/** Where the cache is, how large it is and may be, whom it keeps what for, and what it has spared. */
export async function cacheReport({ folder }: Pick<Caller, 'folder'>): Promise<CacheReport> {
  const root = cacheRoot();
  const [store, records] = [new Store(root), new Records(root)];
  const found = usage(store, records, keysInPlace(root), Date.now());
  const projects = [...keysOfProjects(root)].map(([at, keys]) => ({
    folder: at,
    bytes: bytesOf(store, records, keys),
  }));
  const limit = limitOf(await Project.find(folder));
  return { folder: root, limit, projects, hits: new Tally(root).total(), ...found };
}

/** Brings the cache below its limit, or below another one given as `5G`. */
export async function gc({ folder }: Pick<Caller, 'folder'>, limit: string | undefined): Promise<Collection> {
  const bytes = limit === undefined ? limitOf(await Project.find(folder)) : parseSize(limit);
  return collectNow(cacheRoot(), bytes);
}

/** After a build: the same, unless it was looked at lately. */
export function collectSometimes({ project }: Session): void {
  const root = cacheRoot();
  const mark = path.join(root, 'collected');
  const last = statSync(mark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // A mark of the future is of a clock that was set back since.
  if (Math.abs(Date.now() - last) < EVERY_MS) return;
  writeFileSync(mark, '');
  collectNow(root, limitOf(project));
}

function collectNow(root: string, limit: number): Collection {
  sweepPulled(Date.now());
  return collect(new Store(root), new Records(root), { keep: keysInPlace(root), limit, now: Date.now() });
}

function limitOf({ config }: Project): number {
  return parseSize(config.value.cache!.limit!);
}

/** The keys of the last builds of all projects that use the cache. */
function keysInPlace(root: string): Set<Digest> {
  return new Set([...keysOfProjects(root).values()].flat());
}

function keysOfProjects(root: string): Map<string, Digest[]> {
  const keys = (project: string) => new History(path.join(project, '.smol', 'history')).keys();
  return new Map(new Projects(root).list().map((project) => [project, keys(project)]));
}
