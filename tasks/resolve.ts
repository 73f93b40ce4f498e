import { gunzipSync } from 'node:zlib';
import { alternatives, baseOf, compareVersions, matches, splitName } from '../formats/pkgsrc/pattern.ts';
import { type PackageInfo, parseSummary } from '../formats/pkgsrc/summary.ts';
import type { Blob } from '../model/artifact.ts';
import { brokenArchive, packageConflict, unknownPackage } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

interface Options {
  /** The list's name for people. */
  readonly summary: string;
  /** Patterns of packages, as pkg_info(1) has them; a name alone means its newest version. */
  readonly wanted: readonly string[];
}

/** A package that was chosen. */
export interface ResolvedPackage extends Pick<PackageInfo, 'name' | 'file' | 'checksum'> {
  /** Whether nobody but other packages asked for it. */
  readonly automatic: boolean;
  /** The names of the packages that depend on it. */
  readonly requiredBy: readonly string[];
}

/**
 * The packages that are meant, with all that they depend on, chosen from a list of those that there are: of each the newest
 * that fits. A JSON text, by their names. Throws `unknown-package` and `package-conflict`.
 */
export const resolve: Task = {
  kind: 'resolve',
  version: 1,
  summary: 'binary packages and all that they depend on, chosen from a list of those that there are',
  pool: 'cpu',
  async run(context: StepContext) {
    const { summary, wanted } = context.options as unknown as Options;
    const bytes = await context.store.readBytes((context.inputs.summary as Blob).digest);
    const packages = parseSummary(textOf(bytes, summary));
    return context.store.putBytes(Buffer.from(JSON.stringify(chosen(packages, wanted))));
  },
};

export function resolveStep(summary: Step, options: Options): Step {
  return {
    name: `resolve ${options.wanted.join(' ')} of ${options.summary}`,
    task: resolve,
    options: { ...options },
    inputs: { summary },
  };
}

/** What a step has chosen. */
export function resolvedPackages(bytes: Buffer): ResolvedPackage[] {
  return JSON.parse(bytes.toString()) as ResolvedPackage[];
}

function textOf(bytes: Buffer, summary: string): string {
  if (bytes.length < 2 || bytes.readUInt16BE(0) !== 0x1f8b) return bytes.toString();
  try {
    return gunzipSync(bytes).toString();
  } catch (error) {
    throw brokenArchive(summary, (error as Error).message);
  }
}

function chosen(packages: readonly PackageInfo[], wanted: readonly string[]): ResolvedPackage[] {
  const byBase = new Map<string, PackageInfo[]>();
  for (const info of packages) {
    const { base } = splitName(info.name);
    byBase.set(base, [...(byBase.get(base) ?? []), info]);
  }
  const fitting = (pattern: string, among: readonly PackageInfo[]): PackageInfo | undefined => {
    const found = alternatives(pattern).flatMap((each) => among.filter(({ name }) => matches(each, name)));
    return found.sort((a, b) => compareVersions(splitName(b.name).version, splitName(a.name).version))[0];
  };
  const candidates = (pattern: string) =>
    alternatives(pattern).flatMap((each) => {
      const base = baseOf(each);
      return base === undefined ? packages : (byBase.get(base) ?? []);
    });

  const taken = new Map<string, { info: PackageInfo; automatic: boolean; requiredBy: Set<string> }>();
  const queue = wanted.map((pattern) => ({ pattern, by: undefined as string | undefined }));
  for (const { pattern, by } of queue) {
    // What was taken already is kept where it fits, whatever else there is.
    const among = [...taken.values()].map(({ info }) => info);
    const info = fitting(pattern, among) ?? fitting(pattern, candidates(pattern));
    if (info === undefined) throw unknownPackage(pattern, by, [...byBase.keys()]);
    const { base } = splitName(info.name);
    const known = taken.get(base) ?? { info, automatic: by !== undefined, requiredBy: new Set() };
    if (known.info !== info) throw packageConflict(known.info.name, info.name, by);
    if (by !== undefined) known.requiredBy.add(by);
    if (!taken.has(base)) queue.push(...info.depends.map((each) => ({ pattern: each, by: info.name })));
    taken.set(base, known);
  }
  const all = [...taken.values()];
  for (const { info } of all) {
    const patterns = info.conflicts.flatMap(alternatives);
    const other = all.find(
      (each) => each.info !== info && patterns.some((pattern) => matches(pattern, each.info.name)),
    );
    if (other !== undefined) throw packageConflict(info.name, other.info.name, undefined);
  }
  return all
    .map(({ info: { name, file, checksum }, automatic, requiredBy }) => ({
      name,
      file,
      checksum,
      automatic,
      requiredBy: [...requiredBy].sort(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
