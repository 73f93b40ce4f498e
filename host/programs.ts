import type { Emit } from '../model/event.ts';
import { installFailed, missingPrograms } from '../model/problems.ts';
import type { FileDigests } from './digests.ts';
import { attempt, which } from './process.ts';

/** Which Debian package brings a program that smol may run. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-system-i386': 'qemu-system-x86',
  'qemu-system-aarch64': 'qemu-system-arm',
  xz: 'xz-utils',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  bwrap: 'bubblewrap',
  fakeroot: 'fakeroot',
};

/** Those of the programs that are not on the PATH. */
export function missing(programs: readonly string[]): string[] {
  return programs.filter((program) => which(program) === undefined);
}

/** The command that installs what brings the programs, or undefined where we know of none. */
export function installCommand(programs: readonly string[]): string | undefined {
  const packages = packagesOf(programs);
  if (packages.length === 0 || which('apt-get') === undefined) return undefined;
  return `${process.getuid?.() === 0 ? '' : 'sudo '}apt-get install -y --no-install-recommends ${packages.join(' ')}`;
}

/** The Debian packages that bring programs. */
export function packagesOf(programs: readonly string[]): string[] {
  return [...new Set(programs.flatMap((program) => DEBIAN_PACKAGES[program] ?? []))];
}

/**
 * Makes sure that the programs are on the PATH. Installs Debian packages only if `SMOL_INSTALL` is 1, as the launcher of
 * a clone sets it, and only as root or with a sudo that asks nothing. Otherwise throws the problem `missing-program` with
 * the exact line to run.
 */
export async function requirePrograms(programs: readonly string[], emit: Emit, signal?: AbortSignal): Promise<void> {
  const lacking = missing(programs);
  if (lacking.length === 0) return;
  if (process.env.SMOL_INSTALL === '1' && (await install(lacking, emit, signal))) return;
  throw missingPrograms(lacking, installCommand(lacking));
}

/** The digest of a program on the PATH, or undefined if there is none. */
export async function programDigest(program: string, digests: FileDigests): Promise<string | undefined> {
  const file = which(program);
  return file && (await digests.of(file)).sha256;
}

/** The same of one that must be there. Throws `missing-program`. */
export async function requiredDigest(
  program: string,
  digests: FileDigests,
  emit: Emit,
  signal: AbortSignal,
): Promise<string> {
  await requirePrograms([program], emit, signal);
  return (await programDigest(program, digests))!;
}

/** Installs what brings the programs. False if this user may not, or nothing is known to bring them. */
export async function install(programs: readonly string[], emit: Emit, signal?: AbortSignal): Promise<boolean> {
  const packages = packagesOf(programs);
  const command = installCommand(programs);
  if (command === undefined) return false;
  const root = process.getuid?.() === 0;
  if (!root && (which('sudo') === undefined || (await attempt('sudo', ['-n', 'true'])).code !== 0)) return false;
  emit({ type: 'installing', packages });
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) =>
    root
      ? attempt('apt-get', args, { env, ...(signal && { signal }) })
      : attempt('sudo', ['-n', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args], signal && { signal });
  const packageArgs = ['install', '-y', '--no-install-recommends', ...packages];
  let outcome = await apt(...packageArgs);
  if (outcome.code !== 0) {
    // On a new machine the lists of packages are empty or old.
    await apt('update');
    outcome = await apt(...packageArgs);
  }
  if (outcome.code !== 0) throw installFailed(command, outcome.stderr.trim());
  return missing(programs).length === 0;
}
