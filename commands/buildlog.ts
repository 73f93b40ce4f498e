import path from 'node:path';
import { Ledger } from '../host/ledger.ts';
import { Project } from '../manifest/project.ts';
import type { Caller } from './session.ts';

/** A build that did something. */
export interface LoggedBuild {
  readonly targets: readonly string[];
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly ms: number;
  readonly ok: boolean;
  /** How many steps were run, and how many were cached. */
  readonly ran: number;
  readonly cached: number;
}

const MOST = 200;

/** The builds of a project, in its folder for state. */
export function buildLog(state: string): Ledger<LoggedBuild> {
  return new Ledger(path.join(state, 'builds.json'), MOST);
}

/** The last builds of the project that did something, the last first. */
export async function loggedBuilds({ folder }: Pick<Caller, 'folder'>): Promise<readonly LoggedBuild[]> {
  return buildLog((await Project.find(folder)).state).entries;
}
