import { open } from 'node:fs/promises';
import path from 'node:path';
import {
  type Disk,
  type DiskForm,
  type FileSystemName,
  layOutDisk,
  ownerOf,
  smallestDisk,
  writeDisk,
} from '../formats/disk.ts';
import type { Contents } from '../formats/filewriter.ts';
import { patchOf } from '../formats/patch.ts';
import type { Extent } from '../formats/sink.ts';
import { contentSize, largestDirectories } from '../formats/tree.ts';
import { asProblem, writeAll } from '../host/files.ts';
import type { Tree, TreeArtifact } from '../model/artifact.ts';
import { imageTooSmall } from '../model/problems.ts';
import { CorruptBlob, type Step, type StepContext, type Task } from '../model/step.ts';
import type { ImageSize } from '../model/words.ts';
import { SparseFile } from './sparsefile.ts';

/** What an image step is told. */
export interface ImageOptions {
  readonly target: string;
  /** The name of the root partition. */
  readonly partition: string;
  readonly size: ImageSize;
  readonly fs: FileSystemName;
}

/**
 * A disk image, written straight from a tree. Its digest is its key: the identifiers in it come from the key, and each
 * file is checked as it is copied, so two images have the same bytes if, and only if, they have the same key. To hash
 * hundreds of megabytes would say no more. Where the last image is still in place and untouched, it is made into the
 * new one by writing what differs; the bytes are the same as if all of it had been written.
 */
export const image: Task = {
  kind: 'image',
  version: 3,
  summary: 'a bootable disk image from a tree',
  pool: 'disk',
  async run(context: StepContext) {
    const options = context.options as unknown as ImageOptions;
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const disk = diskOf(options, tree, context.key);
    if (disk === undefined) throw tooSmall(options, tree);
    const contents: Contents = (entries) => context.store.readEntries(entries, context.signal);
    const name = 'disk.img';
    const file = path.join(await context.scratch(), name);
    try {
      const patch = await patchOfPrior(disk, contents, context);
      if (patch === undefined || !(await context.prior!.take(file))) await writeImage(file, disk, contents);
      else await writeExtents(file, patch);
      return { kind: 'publication', file: name, size: disk.size, digest: context.key };
    } catch (error) {
      throw asProblem(error, file);
    }
  },
  async locate({ store, options, inputs }, position) {
    const tree = await store.readTree(inputs.tree as TreeArtifact);
    const disk = diskOf(options as unknown as ImageOptions, tree, '');
    return disk === undefined ? 'the image' : ownerOf(disk, position);
  },
};

export function imageStep(options: ImageOptions, tree: Step, file: string): Step {
  return { name: imageStepName(options.target), task: image, options: { ...options }, inputs: { tree }, publish: file };
}

/** The name of the step that makes the image of a target. */
export function imageStepName(target: string): string {
  return `image ${target}`;
}

/** The disk that an image step with a key writes of a tree; undefined if the tree does not fit. `like` is one much like it. */
export function diskOf(options: ImageOptions, tree: Tree, key: string, like?: Disk): Disk | undefined {
  return layOutDisk(tree, formOf(options, tree), key, like);
}

/** The size of what is to be as small as it can comes from the tree. */
function formOf({ size, partition, fs }: ImageOptions, tree: Tree): DiskForm {
  if ('bytes' in size) return { size: size.bytes, partition, fs };
  const free = size.free + Math.ceil((contentSize(tree) * size.percent) / 100);
  return { size: smallestDisk(tree, fs, free), partition, fs };
}

function tooSmall({ target, size, fs }: ImageOptions, tree: Tree) {
  return imageTooSmall(target, (size as { bytes: number }).bytes, smallestDisk(tree, fs), largestDirectories(tree, 10));
}

/** What makes the last image into this one; undefined if there is none in place, or it is no shorter way. */
async function patchOfPrior(disk: Disk, contents: Contents, context: StepContext): Promise<Extent[] | undefined> {
  const { prior, store } = context;
  if (prior === undefined) return undefined;
  try {
    const tree = await store.readTree({ digest: prior.inputs.tree! });
    const before = diskOf(prior.options as unknown as ImageOptions, tree, prior.key, disk);
    return before && (await patchOf(before, disk, contents));
  } catch (error) {
    // What the last image was made of need not be in the cache any more; what this one is made of is asked for again.
    if (error instanceof CorruptBlob) return undefined;
    throw error;
  }
}

/** Writes a disk into a new file, with holes where nothing is. */
export async function writeImage(file: string, disk: Disk, contents: Contents): Promise<void> {
  await using sparse = new SparseFile(await open(file, 'wx'));
  await sparse.truncate(disk.size);
  await writeDisk(disk, contents, sparse);
}

async function writeExtents(file: string, patch: readonly Extent[]): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    for (const { position, bytes } of patch) await writeAll(handle, position, bytes);
  } finally {
    await handle.close();
  }
}
