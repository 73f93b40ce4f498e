import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type ChangedLine, lineDiff } from '../formats/linediff.ts';
import { sha256, writeAtomically } from '../host/files.ts';
import { edited } from '../manifest/edit.ts';
import { Project } from '../manifest/project.ts';
import type { Service } from '../model/manifest.ts';
import { changedMeanwhile, notOurs } from '../model/problems.ts';
import type { Caller } from './session.ts';

/** How a service runs, as far as a form can say it. */
export type RunSettings = Pick<NonNullable<Service['run']>, 'memory' | 'cpus' | 'ports'>;

export interface Settings {
  readonly service: string;
  /** Its manifest. */
  readonly file: string;
  /** Of the manifest's text, to be shown when it is to be changed. */
  readonly digest: string;
  /** Whether the project may change it: it does not come with smol. */
  readonly ours: boolean;
  readonly run: RunSettings;
}

/** A change that was not made yet. */
export interface Proposal {
  readonly digest: string;
  readonly lines: readonly ChangedLine[];
}

export async function settings({ folder }: Pick<Caller, 'folder'>, service: string): Promise<Settings> {
  const project = await Project.find(folder);
  const { folder: at, manifest } = await project.service(service);
  const file = path.join(at, 'service.yaml');
  const { memory, cpus, ports } = manifest.value.run ?? {};
  const run = { ...(memory && { memory }), ...(cpus && { cpus }), ...(ports && { ports }) };
  const digest = sha256(readFileSync(file));
  return { service, file, digest, ours: at.startsWith(`${project.root}${path.sep}`), run };
}

/** What a change of a service's settings would do to its manifest. Throws what would be wrong with it then. */
export async function proposeSettings(
  caller: Pick<Caller, 'folder'>,
  service: string,
  run: RunSettings,
): Promise<Proposal> {
  const { before, after, digest } = await change(caller, service, run);
  return { digest, lines: lineDiff(before, after) };
}

/** Makes the change. Throws `changed-meanwhile` if the manifest is not that which the digest is of, and `not-ours`. */
export async function changeSettings(
  caller: Pick<Caller, 'folder'>,
  service: string,
  run: RunSettings,
  digest: string,
): Promise<Settings> {
  const { file, ours, after, digest: now } = await change(caller, service, run);
  if (!ours) throw notOurs(service);
  if (digest !== now) throw changedMeanwhile(path.relative(caller.folder, file));
  writeAtomically(file, after);
  return settings(caller, service);
}

async function change(caller: Pick<Caller, 'folder'>, service: string, run: RunSettings) {
  const found = await settings(caller, service);
  const before = readFileSync(found.file, 'utf8');
  const { memory, cpus, ports } = run;
  const after = edited({ file: found.file, text: before, schema: 'service' }, 'run', { memory, cpus, ports });
  return { ...found, before, after };
}
