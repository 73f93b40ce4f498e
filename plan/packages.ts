import type { Step } from '../model/step.ts';
import { furnishStep } from '../tasks/furnish.ts';
import { PACKAGE_DATABASE, packageStep } from '../tasks/package.ts';
import { type ResolvedPackage, resolveStep } from '../tasks/resolve.ts';
import { archiveStep, type Surroundings, sourceStep } from './sources.ts';
import { filled, type Target } from './target.ts';

/** The step that chooses the packages of a target; undefined if it wants none. */
export function resolutionOf(target: Target, surroundings: Surroundings): Step | undefined {
  const { packages } = target;
  if (packages.length === 0) return undefined;
  const summary = `${folderOf(target)}pkg_summary.gz`;
  return resolveStep(sourceStep({ source: summary, base: surroundings.root }, surroundings), {
    summary,
    wanted: packages,
  });
}

/**
 * The layers of the packages of a target: each one by itself, which all targets share, and what the package database says
 * of their relations. Until it is known which they are, there is only the step that chooses them.
 */
export function packageLayers(target: Target, surroundings: Surroundings): { label: string; tree: Step }[] {
  const resolution = resolutionOf(target, surroundings);
  if (resolution === undefined) return [];
  const chosen = surroundings.resolved.get(resolution.name);
  if (chosen === undefined) return [{ label: 'the packages', tree: resolution }];
  const layers = chosen.map(({ name, file, checksum }) => {
    const source = `${folderOf(target)}${file}`;
    const expected = checksum && { ...checksum, by: `the pkg_summary.gz of ${target.release.name}` };
    const tree = archiveStep({ source, expected, base: surroundings.root }, surroundings);
    return { label: `the package ${name}`, tree: packageStep(name, tree) };
  });
  const relations = furnishStep(`relations of packages of ${target.name}`, { files: relationsOf(chosen) });
  return [...layers, { label: 'the package database', tree: relations }];
}

/** What pkg_add(1) writes beside what packages bring: who needs a package, and whether a person asked for it. */
function relationsOf(chosen: readonly ResolvedPackage[]): Record<string, string> {
  const files: Record<string, string> = {};
  for (const { name, automatic, requiredBy } of chosen) {
    const folder = `${PACKAGE_DATABASE}/${name}`;
    if (requiredBy.length > 0) files[`${folder}/+REQUIRED_BY`] = requiredBy.map((each) => `${each}\n`).join('');
    if (automatic) files[`${folder}/+INSTALLED_INFO`] = 'automatic=YES\n';
  }
  return files;
}

/** The directory of packages that the release has for the architecture, with a slash at its end. */
function folderOf(target: Target): string {
  return filled(target.release.manifest.packages!, target).replace(/\/*$/, '/');
}
