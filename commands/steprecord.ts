import path from 'node:path';
import { type KeyRecord, Records } from '../cache/records.ts';
import { History } from '../engine/history.ts';
import { cacheRoot } from '../host/paths.ts';
import { Project } from '../manifest/project.ts';
import { noSuchStep } from '../model/problems.ts';
import type { Caller } from './session.ts';

/** The key record of a step as it was last made: all that went into its key, what came out, and what it said. Throws `no-such-step`. */
export async function stepRecord({ folder }: Pick<Caller, 'folder'>, step: string): Promise<KeyRecord> {
  const { state } = await Project.find(folder);
  const key = new History(path.join(state, 'history')).get(step)?.key;
  const record = key === undefined ? undefined : new Records(cacheRoot()).read(key);
  if (record === undefined) throw noSuchStep(step);
  return record;
}
