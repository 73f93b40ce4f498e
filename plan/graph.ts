import type { Project } from '../manifest/project.ts';
import type { Step } from '../model/step.ts';
import { diskStep } from '../tasks/disk.ts';
import { imageStep } from '../tasks/image.ts';
import { type Booted, kernelSteps } from './kernels.ts';
import { rootOf } from './root.ts';
import { type Surroundings, sourceStep } from './sources.ts';
import type { Target } from './target.ts';

/** The steps whose outputs are what a target needs to boot. */
export interface Goals extends Booted {
  readonly image: Step;
}

/** The goals as a list: image, kernel and, if there is one, initial RAM disk. */
export function goalsOf({ image, kernel, initrd }: Goals): Step[] {
  return initrd === undefined ? [image, kernel] : [image, kernel, initrd];
}

/** The graph of a target: the tree of its root file system becomes an image, or one is taken as it is. */
export function graphOf(target: Target, project: Project, surroundings: Surroundings): Goals {
  return { image: imageOf(target, project, surroundings), ...kernelSteps(target, surroundings) };
}

function imageOf(target: Target, project: Project, surroundings: Surroundings): Step {
  const { name, partition, size, fs, disk, folder, image } = target;
  if (disk === undefined) {
    return imageStep({ target: name, partition, size, fs }, rootOf(target, project, surroundings), image);
  }
  return diskStep(name, disk.source, sourceStep({ ...disk, base: folder }, surroundings), image);
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
