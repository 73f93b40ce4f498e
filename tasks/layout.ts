import { type DiskForm, type FileSystemName, layOutDisk, mapOf, smallestDisk } from '../formats/disk.ts';
import { largestDirectories } from '../formats/tree.ts';
import { contentSize, entriesOf } from '../formats/treeindex.ts';
import type { TreeArtifact } from '../model/artifact.ts';
import type { TreeIndex } from '../model/extents.ts';
import { imageTooSmall } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import type { ImageSize } from '../model/words.ts';

/** What a layout step is told. */
export interface LayoutOptions {
  readonly target: string;
  /** The name of the root partition. */
  readonly partition: string;
  readonly size: ImageSize;
  readonly fs: FileSystemName;
}

/**
 * A tree laid out on a disk: partition, file system, and where the contents of each file go, as a map of extents. All
 * identifiers on the disk come from the key. No byte of any file is read.
 */
export const layout: Task = {
  kind: 'layout',
  version: 2,
  summary: 'what lies where on a disk image',
  pool: 'cpu',
  async run({ options, inputs, store, key }: StepContext) {
    const wanted = options as unknown as LayoutOptions;
    const tree = await store.readIndex(inputs.tree as TreeArtifact);
    const disk = layOutDisk(tree, formOf(wanted, tree), key);
    if (disk === undefined) throw tooSmall(wanted, tree);
    return store.putMap(mapOf(disk));
  },
};

export function layoutStep(options: LayoutOptions, tree: Step): Step {
  return { name: `layout ${options.target}`, task: layout, options: { ...options }, inputs: { tree } };
}

/** The size of what is to be as small as it can comes from the tree. */
function formOf({ size, partition, fs }: LayoutOptions, tree: TreeIndex): DiskForm {
  if ('bytes' in size) return { size: size.bytes, partition, fs };
  const free = size.free + Math.ceil((contentSize(tree) * size.percent) / 100);
  return { size: smallestDisk(tree, fs, free), partition, fs };
}

function tooSmall({ target, size, fs }: LayoutOptions, tree: TreeIndex) {
  return imageTooSmall(
    target,
    (size as { bytes: number }).bytes,
    smallestDisk(tree, fs),
    largestDirectories(entriesOf(tree), 10),
  );
}
