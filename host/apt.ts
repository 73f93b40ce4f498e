import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { noPackage, packageGone } from '../model/problems.ts';
import { starred } from '../model/words.ts';
import { withLock } from './lock.ts';
import { attempt, type RunOptions, run } from './process.ts';

/**
 * Debian packages of any architecture, without root: apt with a private state (apt.conf(5)), and this host's own source
 * list and keys. apt has checked signatures and checksums of all that it gives.
 */

/** A package as a source names it: `apt:<name>:<Debian architecture>`. */
export interface PackageSource {
  readonly source: string;
  readonly name: string;
  readonly arch: string;
  /** Take the first dependency that matches this pattern (`*` for anything) instead: a metapackage's real one. */
  readonly depends?: string | undefined;
}

export interface PackageVersion {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly size: number;
}

export function parsePackageSource(source: string, depends?: string): PackageSource {
  const [, name = '', arch = ''] = source.split(':');
  return { source, name, arch, depends };
}

/** Reads the source list's newest indexes and gives what a package is now. Throws `no-package`. */
export async function newestPackage(pkg: PackageSource, state: string, signal: AbortSignal): Promise<PackageVersion> {
  const apt = await privateApt(pkg.arch, state);
  const complaints = await refresh(apt, signal);
  const record = await show(pkg.name, pkg, apt, signal, complaints);
  if (pkg.depends === undefined) return versionOf(record);
  const pattern = starred(pkg.depends);
  const names = (record.get('Depends') ?? '').split(/[,|]/).map((each) => each.trim().split(/[ (:]/)[0]!);
  const real = names.find((name) => pattern.test(name));
  if (real === undefined) throw noPackage(pkg.source, `it depends on nothing that is named like ${pkg.depends}`);
  return versionOf(await show(real, pkg, apt, signal, ''));
}

/** Downloads one version of a package to a file. Throws `package-gone` where the sources do not have it. */
export async function downloadPackage(
  pkg: PackageSource,
  version: Pick<PackageVersion, 'name' | 'version'>,
  file: string,
  state: string,
  signal: AbortSignal,
): Promise<void> {
  const apt = await privateApt(pkg.arch, state);
  const folder = `${file}.d`;
  mkdirSync(folder);
  const wanted = `${version.name}:${pkg.arch}=${version.version}`;
  const get = () => attempt('apt-get', ['download', '-q', wanted], { env: apt, cwd: folder, signal });
  let outcome = await get();
  if (outcome.code !== 0) {
    await refresh(apt, signal);
    outcome = await get();
  }
  if (outcome.code !== 0) throw packageGone(pkg.source, `${version.name} ${version.version}`);
  const [deb] = readdirSync(folder);
  await rename(path.join(folder, deb!), file);
}

type ExtractLimits = Required<Pick<RunOptions, 'signal' | 'fileLimit'>>;

/** Writes the data archive of a package, an uncompressed tar, to a file. Throws `program-failed`. */
export async function extractDataArchive(deb: string, file: string, limits: ExtractLimits): Promise<void> {
  await run('dpkg-deb', ['--fsys-tarfile', deb], { stdout: file, ...limits });
}

/** What each private state was last refreshed with: once in the life of this process is enough. */
const refreshed = new Map<string, Promise<string>>();

/** Reads the indexes anew. Gives what apt complained of; it goes on with what it has. */
function refresh(apt: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const config = apt.APT_CONFIG!;
  let done = refreshed.get(config);
  if (done === undefined) {
    // apt itself does not wait for the lock on its lists.
    done = withLock(`${config}.lock`, () => attempt('apt-get', ['update', '-q'], { env: apt, signal }), signal).then(
      ({ stderr }) => stderr,
    );
    refreshed.set(config, done);
  }
  return done;
}

async function show(name: string, pkg: PackageSource, apt: NodeJS.ProcessEnv, signal: AbortSignal, detail: string) {
  const shown = await attempt('apt-cache', ['show', '--no-all-versions', `${name}:${pkg.arch}`], { env: apt, signal });
  const record = new Map<string, string>();
  for (const line of shown.stdout.split('\n\n')[0]!.split('\n')) {
    const field = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
    if (field) record.set(field[1]!, field[2]!);
  }
  if (shown.code !== 0 || !record.has('SHA256')) throw noPackage(pkg.source, (detail || shown.stderr).trim());
  return record;
}

function versionOf(record: ReadonlyMap<string, string>): PackageVersion {
  const field = (name: string) => record.get(name) ?? '';
  return { name: field('Package'), version: field('Version'), sha256: field('SHA256'), size: Number(field('Size')) };
}

/** The environment for apt's programs with a state of our own below `state`. */
async function privateApt(arch: string, state: string): Promise<NodeJS.ProcessEnv> {
  const folder = path.join(state, arch);
  mkdirSync(path.join(folder, 'lists', 'partial'), { recursive: true });
  mkdirSync(path.join(folder, 'cache', 'archives', 'partial'), { recursive: true });
  const status = path.join(folder, 'status');
  writeFileSync(status, '');
  const config = path.join(folder, 'apt.conf');
  writeFileSync(
    config,
    [
      `APT::Architecture "${arch}";`,
      `APT::Architectures { "${arch}"; };`,
      'APT::Sandbox::User "";',
      `Dir::State "${folder}";`,
      `Dir::State::status "${status}";`,
      `Dir::State::lists "${folder}/lists";`,
      `Dir::Cache "${folder}/cache";`,
      'Acquire::Languages "none";',
      '',
    ].join('\n'),
  );
  return { ...process.env, APT_CONFIG: config, LC_ALL: 'C' };
}
