import path from 'node:path';
import { isDirectory } from '../host/digests.ts';
import type { Project } from '../manifest/project.ts';
import { notThatKind } from '../model/problems.ts';
import type { Step } from '../model/step.ts';
import { composeStep } from '../tasks/compose.ts';
import { furnishStep } from '../tasks/furnish.ts';
import { imageStep } from '../tasks/image.ts';
import { initrdStep } from '../tasks/initrd.ts';
import { kernelStep } from '../tasks/kernel.ts';
import { overlayStep } from '../tasks/overlay.ts';
import { archiveForm, unpackStep } from '../tasks/unpack.ts';
import { GUESTS } from './guests.ts';
import { type SourceWish, type Surroundings, sourceStep } from './sources.ts';
import type { Target } from './target.ts';

/** The steps whose outputs are what a target needs to boot. */
export interface Goals {
  readonly image: Step;
  readonly kernel: Step;
  readonly initrd: Step | undefined;
}

/** The goals as a list: image, kernel and, if there is one, initial RAM disk. */
export function goalsOf({ image, kernel, initrd }: Goals): Step[] {
  return initrd === undefined ? [image, kernel] : [image, kernel, initrd];
}

/** The graph of a target: the tree of its root file system becomes an image. */
export function graphOf(target: Target, project: Project, surroundings: Surroundings): Goals {
  const { name, partition, size, fs } = target;
  return {
    image: imageStep({ target: name, partition, size, fs }, rootOf(target, project, surroundings), target.image),
    ...kernelSteps(target, surroundings),
  };
}

/** The root file system of a target: what it is made from, sets, overlays and links become one tree. */
function rootOf(target: Target, project: Project, surroundings: Surroundings): Step {
  const sets = target.sets.map((set) => ({ label: `the set ${set}`, tree: setStep(target, set, surroundings) }));
  const base = composeStep(`${target.name} sets`, sets, { files: {} });
  const guest = GUESTS[target.guest];
  const folder = (name: string) => path.join(target.folder, name);
  const overlay = (label: string, from: string | undefined, options: Parameters<typeof overlayStep>[2]) =>
    from !== undefined && isDirectory(from)
      ? [{ label, tree: overlayStep(label, from, options, surroundings.digests) }]
      : [];
  const common = project.find('services/common');
  const { from } = target;
  const layers = [
    ...(from === undefined
      ? []
      : [{ label: `the service ${from.service}`, tree: rootOf(from, project, surroundings) }]),
    ...(sets.length === 0 ? [] : [{ label: 'the sets', tree: base }]),
    {
      label: `what images of ${target.guest} hold`,
      tree: furnishStep(`furnish ${target.name}`, guest.furnishings(target)),
    },
    ...(sets.length === 0 ? [] : guest.adapt(target, base)),
    ...overlay('services/common', common, { at: 'etc/include', permissions: 'normal' }),
    ...overlay(`the rootdir of ${target.service}`, target.rootdir, { at: '', permissions: 'exact' }),
    ...overlay(`services/${target.service}/root`, folder('root'), { at: '', permissions: 'normal' }),
    ...overlay(`services/${target.service}/etc`, folder('etc'), { at: 'etc', permissions: 'normal' }),
    {
      label: 'service.yaml',
      tree: furnishStep(`declare ${target.name}`, { directories: target.directories, links: target.links }),
    },
  ];
  return composeStep(target.name, layers, { files: target.files, sourceDate: target.sourceDate });
}

function setStep(target: Target, set: string, surroundings: Surroundings): Step {
  const { manifest } = target.release;
  const vars: Record<string, string> = { ...manifest.archs[target.arch]!.vars, set, arch: target.arch };
  const source = manifest.source.replaceAll(/\{(\w+)\}/g, (whole, name: string) => vars[name] ?? whole);
  const dropIn = path.join('sets', target.arch, path.basename(source));
  return treeOf({ source, checksums: manifest.checksums, dropIn, base: surroundings.root }, surroundings);
}

/** A source that is an archive, as a tree. Steps of the same source are shared by all targets. */
function treeOf(wish: SourceWish, surroundings: Surroundings): Step {
  const form = archiveForm(wish.source);
  if (form === undefined)
    throw notThatKind(
      wish.source,
      'an archive (.tar.xz, .tgz, .tar or a Debian package)',
      'something else by its name',
    );
  return unpackStep(wish.source, form, sourceStep(wish, surroundings));
}

function kernelSteps(target: Target, surroundings: Surroundings): Omit<Goals, 'image'> {
  const { name, file, build } = target.kernel;
  const base = path.dirname(file);
  const dropIn = build.source.startsWith('http') ? path.join('kernels', path.basename(build.source)) : undefined;
  const wish = { source: build.source, checksums: build.checksums, depends: build.depends, dropIn, base };
  const label = `${name} ${target.arch}`;
  if (build.file === undefined) {
    return { kernel: kernelStep(label, sourceStep(wish, surroundings), { source: build.source }), initrd: undefined };
  }
  const tree = treeOf(wish, surroundings);
  const kernel = kernelStep(label, tree, { source: build.source, file: build.file });
  if (build.initrd === undefined) return { kernel, initrd: undefined };
  const busybox = treeOf({ source: build.initrd.busybox, base }, surroundings);
  const init = path.resolve(base, build.initrd.init);
  const { modules } = build.initrd;
  return { kernel, initrd: initrdStep(label, { kernel: tree, busybox }, init, { modules, source: build.source }) };
}

/** All steps that lead to these, each once, inputs before what uses them. */
export function stepsOf(goals: readonly Step[]): Step[] {
  const found = new Map<string, Step>();
  const visit = (step: Step) => {
    if (found.has(step.name)) return;
    for (const input of Object.values(step.inputs)) visit(input);
    found.set(step.name, step);
  };
  for (const goal of goals) visit(goal);
  return [...found.values()];
}
