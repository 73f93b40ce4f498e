import type { Tree } from '../model/artifact.ts';
import { ext2 } from './ext2/write.ts';
import { ffs } from './ffs/write.ts';
import { type FileSystem, type Layout, rangesOf, relaidOut } from './filesystem.ts';
import { type Contents, writeContents } from './filewriter.ts';
import { gptTables, PARTITION_START, partitionLength } from './gpt.ts';
import type { Inode } from './inodes.ts';
import { type BlockSink, CoalescingSink, type Extent, shifted } from './sink.ts';
import { contentSize } from './tree.ts';
import { uuidFrom } from './uuid.ts';

/** A disk with one partition that holds a tree: GPT, a file system, the contents of the files; never what is empty. */

export type FileSystemName = 'ext2' | 'ffs' | 'ffs1';

export const FILE_SYSTEMS: Readonly<Record<FileSystemName, FileSystem>> = { ext2, ffs: ffs(2), ffs1: ffs(1) };

export interface DiskForm {
  /** Bytes, of the whole disk. */
  readonly size: number;
  /** The name of the partition. */
  readonly partition: string;
  readonly fs: FileSystemName;
}

/** A disk that is laid out. All identifiers on it come from its seed. */
export interface Disk extends DiskForm {
  readonly seed: string;
  readonly tree: Tree;
  readonly layout: Layout;
}

/** Finds room for a tree on a disk; undefined if it does not fit. `like` is a disk that may be much like it. */
export function layOutDisk(tree: Tree, form: DiskForm, seed: string, like?: Disk): Disk | undefined {
  const isAlike = like !== undefined && isSameForm(form, like);
  const layout =
    (isAlike && relaidOut(like.layout, like.tree, tree)) || FILE_SYSTEMS[form.fs](tree, partitionLength(form.size));
  return layout && { ...form, seed, tree, layout };
}

/** Whether two disks are divided in the same way. */
export function isSameForm(a: DiskForm, b: DiskForm): boolean {
  return a.size === b.size && a.fs === b.fs && a.partition === b.partition;
}

/** The smallest disk, in whole MiB, given in bytes, that has room for a tree and leaves so many bytes free. */
export function smallestDisk(tree: Tree, fs: FileSystemName, free = 0): number {
  const fits = (mib: number) => {
    const length = partitionLength(mib * 1024 ** 2);
    const layout = length > 0 ? FILE_SYSTEMS[fs](tree, length) : undefined;
    return layout !== undefined && layout.free >= free;
  };
  // Below what the files alone take, no look is needed; tables add little to that.
  let low = Math.max(2, Math.ceil((contentSize(tree) + free) / 1024 ** 2)) - 1;
  let high = low + 1;
  for (let step = 1; !fits(high); step *= 2) {
    low = high;
    high += step;
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high * 1024 ** 2;
}

/** Everything on a disk but the contents of inodes; positions are on the disk. */
export function* tablesOf({ size, partition, fs, seed, layout }: Disk): Generator<Extent> {
  yield* gptTables({ size, name: partition, type: fs === 'ext2' ? 'ext2' : 'ffs', seed });
  const time = layout.inodes.reduce((newest, { entry }) => Math.max(newest, entry.mtime ?? 0), 0);
  const identity = { uuid: uuidFrom(seed, 'file system'), label: partition.slice(0, 16), time };
  for (const { position, bytes } of layout.tables(identity)) yield { position: position + PARTITION_START, bytes };
}

/** Writes the contents of some inodes of a disk. */
export async function writeInodes(
  { layout }: Disk,
  inodes: readonly Inode[],
  contents: Contents,
  sink: BlockSink,
): Promise<void> {
  await writeContents(inodes, layout.form, contents, shifted(sink, PARTITION_START));
}

/** Writes a disk into a sink that reads as zeros, nearly from front to back. */
export async function writeDisk(disk: Disk, contents: Contents, target: BlockSink): Promise<void> {
  const sink = new CoalescingSink(target);
  for (const { position, bytes } of tablesOf(disk)) await sink.write(position, bytes);
  await writeInodes(disk, disk.layout.inodes, contents, sink);
  await sink.flush();
}

/** The path in the image whose contents a byte of a disk belongs to; or the tables that it is in; in words. */
export function ownerOf({ size, layout }: Disk, position: number): string {
  const at = position - PARTITION_START;
  if (at < 0 || at >= partitionLength(size)) return 'the partition table';
  const owns = (inode: Inode) => [...rangesOf(inode, layout.form)].some(([from, to]) => at >= from && at < to);
  const inode = layout.inodes.find(owns);
  return inode === undefined ? 'the tables of the file system' : `/${inode.entry.path}`;
}
