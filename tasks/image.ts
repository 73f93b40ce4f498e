import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { ownerOf } from '../formats/disk.ts';
import { patchOf } from '../formats/patch.ts';
import { CoalescingSink, type Extent } from '../formats/sink.ts';
import { asProblem, writeAllSync } from '../host/files.ts';
import { SparseFile } from '../host/sparsefile.ts';
import type { Blob, TreeArtifact } from '../model/artifact.ts';
import type { ExtentMap } from '../model/extents.ts';
import { type BlobStore, CorruptBlob, type Step, type StepContext, type Task } from '../model/step.ts';
import { type LayoutOptions, layoutStep } from './layout.ts';

/**
 * A disk image, written straight from the blobs that hold a tree's files. Its digest is its key: what lies where is an
 * input, and each file is checked as it is copied, so two images have the same bytes if, and only if, they have the same
 * key. To hash hundreds of megabytes would say no more. Where the last image is still in place and untouched, it is made
 * into the new one by writing what differs; the bytes are the same as if all of it had been written.
 */
export const image: Task = {
  kind: 'image',
  version: 4,
  summary: 'a bootable disk image from a tree',
  pool: 'disk',
  async run(context: StepContext) {
    const { store, signal, key } = context;
    const map = await store.readMap(context.inputs.layout as Blob);
    const name = 'disk.img';
    const file = path.join(await context.scratch(), name);
    try {
      const patch = await patchOfPrior(map, context);
      if (patch !== undefined && (await context.prior!.take(file))) writeExtents(file, patch);
      else await writeImage(file, map, store, signal);
      return { kind: 'publication', file: name, size: map.size, digest: key };
    } catch (error) {
      throw asProblem(error, file);
    }
  },
  async locate({ store, inputs }, position) {
    const tree = await store.readTree(inputs.tree as TreeArtifact);
    return ownerOf(await store.readMap(inputs.layout as Blob), tree, position);
  },
};

/** The tree is an input too: it stands for the blobs that the image is copied from. */
export function imageStep(options: LayoutOptions, tree: Step, file: string): Step {
  const name = imageStepName(options.target);
  return { name, task: image, options: {}, inputs: { tree, layout: layoutStep(options, tree) }, publish: file };
}

/** The name of the step that makes the image of a target. */
export function imageStepName(target: string): string {
  return `image ${target}`;
}

/** What makes the last image into this one; undefined if there is none in place, or it is no shorter way. */
async function patchOfPrior(map: ExtentMap, { prior, store, signal }: StepContext): Promise<Extent[] | undefined> {
  if (prior === undefined) return undefined;
  try {
    const patch = patchOf(await store.readMap({ digest: prior.inputs.layout! }), map);
    if (patch === undefined) return undefined;
    const extents: Extent[] = patch.blank.map(([from, to]) => ({ position: from, bytes: Buffer.alloc(to - from) }));
    const write = (position: number, bytes: Uint8Array, length = bytes.length) => {
      extents.push({ position, bytes: Buffer.concat([bytes], length) });
    };
    // Before the last image is touched: what is asked of the cache may fail.
    await store.copy(patch.changed, { write }, signal);
    return extents;
  } catch (error) {
    // What the last image was made of need not be in the cache any more; what this one is made of is asked for again.
    if (error instanceof CorruptBlob) return undefined;
    throw error;
  }
}

/** Writes a disk into a new file, with holes where nothing is. */
export async function writeImage(file: string, map: ExtentMap, store: BlobStore, signal: AbortSignal): Promise<void> {
  using sparse = new SparseFile(file, map.size);
  const sink = new CoalescingSink(sparse);
  await store.copy(map, sink, signal);
  sink.flush();
}

function writeExtents(file: string, patch: readonly Extent[]): void {
  const handle = openSync(file, 'r+');
  try {
    for (const { position, bytes } of patch) writeAllSync(handle, position, bytes);
  } finally {
    closeSync(handle);
  }
}
