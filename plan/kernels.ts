import path from 'node:path';
import type { Step } from '../model/step.ts';
import { initrdStep } from '../tasks/initrd.ts';
import { kernelStep } from '../tasks/kernel.ts';
import { archiveStep, type Surroundings, sourceStep } from './sources.ts';
import type { Target } from './target.ts';

/** What QEMU loads besides the image. */
export interface Booted {
  readonly kernel: Step;
  readonly initrd: Step | undefined;
}

/** The kernel of a target, and its initial RAM disk if it needs one. Targets of one kernel share the steps. */
export function kernelSteps(target: Target, surroundings: Surroundings): Booted {
  const { name, file, build } = target.kernel;
  const base = path.dirname(file);
  const dropIn = build.source.startsWith('http') ? path.join('kernels', path.basename(build.source)) : undefined;
  const wish = { source: build.source, checksums: build.checksums, depends: build.depends, dropIn, base };
  const label = `${name} ${target.arch}`;
  if (build.file === undefined) {
    return { kernel: kernelStep(label, sourceStep(wish, surroundings), { source: build.source }), initrd: undefined };
  }
  const tree = archiveStep(wish, surroundings);
  const kernel = kernelStep(label, tree, { source: build.source, file: build.file });
  if (build.initrd === undefined) return { kernel, initrd: undefined };
  const busybox = archiveStep({ source: build.initrd.busybox, base }, surroundings);
  const init = path.resolve(base, build.initrd.init);
  const { modules } = build.initrd;
  return { kernel, initrd: initrdStep(label, { kernel: tree, busybox }, init, { modules, source: build.source }) };
}
