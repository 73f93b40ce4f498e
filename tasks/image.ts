import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { ext2 } from '../formats/ext2/write.ts';
import { ffs } from '../formats/ffs/write.ts';
import { type FileSystem, ownerOf, smallestSize } from '../formats/filesystem.ts';
import { PARTITION_START, partitionLength, writeGpt } from '../formats/gpt.ts';
import { type BlockSink, shifted } from '../formats/sink.ts';
import { largestDirectories } from '../formats/tree.ts';
import { uuidFrom } from '../formats/uuid.ts';
import { asProblem } from '../host/files.ts';
import type { TreeArtifact } from '../model/artifact.ts';
import { imageTooSmall } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

interface Options {
  readonly target: string;
  /** The name of the root partition. */
  readonly partition: string;
  /** Bytes, of the whole disk. */
  readonly size: number;
  readonly fs: FileSystemName;
}

export type FileSystemName = 'ext2' | 'ffs' | 'ffs1';

const FILE_SYSTEMS: Readonly<Record<FileSystemName, FileSystem>> = { ext2, ffs: ffs(2), ffs1: ffs(1) };

/** What the tables of the disk take beside the file system. */
const OVERHEAD = 2 * 1024 * 1024;

/**
 * A disk with one partition, written straight from a tree: GPT, a file system, the contents of the files; never what is empty.
 * Its digest is its key: the identifiers in it come from the key, and each file is checked as it is copied, so two
 * images have the same bytes if, and only if, they have the same key. To hash hundreds of megabytes would say no more.
 */
export const image: Task = {
  kind: 'image',
  version: 2,
  summary: 'a bootable disk image from a tree',
  pool: 'disk',
  async run(context: StepContext) {
    const { target, partition, size, fs } = context.options as unknown as Options;
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const layout = FILE_SYSTEMS[fs](tree, partitionLength(size));
    if (layout === undefined) {
      throw imageTooSmall(target, size, smallestSize(FILE_SYSTEMS[fs], tree) + OVERHEAD, largestDirectories(tree, 10));
    }
    const name = 'disk.img';
    const file = path.join(await context.scratch(), name);
    const time = tree.reduce((newest, entry) => Math.max(newest, entry.mtime ?? 0), 0);
    try {
      await using disk = await SparseFile.create(file, size);
      await writeGpt(disk, { size, name: partition, type: fs === 'ext2' ? 'ext2' : 'ffs', seed: context.key });
      const identity = { uuid: uuidFrom(context.key, 'file system'), label: partition.slice(0, 16), time };
      const contents = (entries: Parameters<typeof context.store.readEntries>[0]) =>
        context.store.readEntries(entries, context.signal);
      await layout.write(identity, contents, shifted(disk, PARTITION_START));
      return { kind: 'publication', file: name, size, digest: context.key };
    } catch (error) {
      throw asProblem(error, file);
    }
  },
  async locate({ store, options, inputs }, position) {
    const { size, fs } = options as unknown as Options;
    const length = partitionLength(size);
    if (position < PARTITION_START || position >= PARTITION_START + length) return 'the partition table';
    const layout = FILE_SYSTEMS[fs](await store.readTree(inputs.tree as TreeArtifact), length);
    const owner = layout && ownerOf(layout, position - PARTITION_START);
    return owner === undefined ? 'the tables of the file system' : `/${owner.path}`;
  },
};

export function imageStep(options: Options, tree: Step, file: string): Step {
  return { name: `image ${options.target}`, task: image, options: { ...options }, inputs: { tree }, publish: file };
}

/** A new file of so many bytes, with holes wherever nothing is written. */
class SparseFile implements BlockSink, AsyncDisposable {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async create(file: string, size: number): Promise<SparseFile> {
    const handle = await open(file, 'wx');
    await handle.truncate(size);
    return new SparseFile(handle);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
