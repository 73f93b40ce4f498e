import type { Task } from '../model/step.ts';
import { builder } from './builder.ts';
import { compose } from './compose.ts';
import { disk } from './disk.ts';
import { furnish } from './furnish.ts';
import { image } from './image.ts';
import { initrd } from './initrd.ts';
import { kernel } from './kernel.ts';
import { layout } from './layout.ts';
import { makedev } from './makedev.ts';
import { mtree } from './mtree.ts';
import { install } from './package.ts';
import { pick } from './pick.ts';
import { place } from './place.ts';
import { resolve } from './resolve.ts';
import { script } from './script.ts';
import { specification } from './specification.ts';
import { unpack } from './unpack.ts';

/** The tasks whose steps need nothing but their inputs, by their kinds: what a key alone says how to run. */
export const KINDS: ReadonlyMap<string, Task> = new Map(
  [
    ...[builder, compose, disk, furnish, image, initrd, install, kernel, layout, makedev, mtree],
    ...[pick, place, resolve, script, specification, unpack],
  ].map((task) => [task.kind, task]),
);
