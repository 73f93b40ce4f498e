import { blobsIn, type FileEntry, type Tree } from '../model/artifact.ts';
import type { ExtentMap } from '../model/extents.ts';
import { ext2 } from './ext2/write.ts';
import { MapBuilder, sourceAt } from './extentmap.ts';
import { ffs } from './ffs/write.ts';
import type { FileSystem, Layout } from './filesystem.ts';
import { gptTables, PARTITION_START, partitionLength } from './gpt.ts';
import { type BlockForm, type Inode, writeDirectory, writePointers } from './inodes.ts';
import { SECTOR } from './sectors.ts';
import type { Extent } from './sink.ts';
import { contentSize, isFile } from './tree.ts';
import { uuidFrom } from './uuid.ts';

/** A disk with one partition that holds a tree: GPT, a file system, the contents of the files; never what is empty. */

export type FileSystemName = 'ext2' | 'ffs' | 'ffs1';

const FILE_SYSTEMS: Readonly<Record<FileSystemName, FileSystem>> = { ext2, ffs: ffs(2), ffs1: ffs(1) };

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

/** Finds room for a tree on a disk; undefined if it does not fit. */
export function layOutDisk(tree: Tree, form: DiskForm, seed: string): Disk | undefined {
  const layout = FILE_SYSTEMS[form.fs](tree, partitionLength(form.size));
  return layout && { ...form, seed, tree, layout };
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
function* tablesOf({ size, partition, fs, seed, layout }: Disk): Generator<Extent> {
  yield* gptTables({ size, name: partition, type: fs === 'ext2' ? 'ext2' : 'ffs', seed });
  const time = layout.inodes.reduce((newest, { entry }) => Math.max(newest, entry.mtime ?? 0), 0);
  const identity = { uuid: uuidFrom(seed, 'file system'), label: partition.slice(0, 16), time };
  for (const { position, bytes } of layout.tables(identity)) yield { position: position + PARTITION_START, bytes };
}

/** All that is on a disk, as the bytes of a map of extents, from front to back; only indirect blocks come after what they point to. */
export function mapOf(disk: Disk): Buffer {
  const { size, layout } = disk;
  const { form, inodes } = layout;
  const tables = [...tablesOf(disk)].sort((a, b) => a.position - b.position);
  const builder = new MapBuilder(size, blobsIn(disk.tree), countsOf(layout, tables));
  let next = 0;
  const addTablesBefore = (end: number) => {
    for (; next < tables.length && tables[next]!.position < end; next++) {
      const { position, bytes } = tables[next]!;
      builder.own.set(bytes);
      builder.addOwn(bytes.length);
      // Whole sectors: no file system has anything else in what is left of the last one.
      builder.addExtent(position, Math.ceil(bytes.length / SECTOR) * SECTOR);
    }
  };
  for (const inode of inodes) {
    if (inode.data.length === 0) continue;
    addTablesBefore(PARTITION_START + inode.data[0]![0] * form.unit);
    addInode(builder, inode, form);
  }
  addTablesBefore(size);
  return builder.end();
}

/** Adds what an inode points to. */
function addInode(builder: MapBuilder, inode: Inode, form: BlockForm): void {
  const { entry, indirect } = inode;
  const { blockSize, unit, pointerSize, directories } = form;
  if (entry.type === 'file') builder.addSlice(entry.content);
  else if (entry.type === 'directory') builder.addOwn(writeDirectory(inode, directories, builder.own));
  else if (entry.type === 'symlink') builder.addOwn(builder.own.write(entry.target));
  let left = inode.size;
  for (const run of inode.data) {
    const length = Math.min(left, run[1] * blockSize);
    // Up to the end of its last unit.
    builder.addExtent(PARTITION_START + run[0] * unit, Math.ceil(length / unit) * unit);
    left -= length;
  }
  for (const { block, pointers } of indirect) {
    const { own } = builder;
    const view = new DataView(own.buffer, own.byteOffset, own.length);
    builder.addOwn(writePointers(view, 0, pointers, pointerSize, blockSize / unit));
    builder.addExtent(PARTITION_START + block * unit, blockSize);
  }
}

/** How much the map of a disk has of everything; at most so many own bytes. */
function countsOf({ form, inodes }: Layout, tables: readonly Extent[]) {
  let [sources, extents, own] = [tables.length, tables.length, 0];
  for (const { bytes } of tables) own += bytes.length;
  for (const { entry, data, indirect, size } of inodes) {
    if (data.length === 0) continue;
    sources += 1 + indirect.length;
    extents += data.length + indirect.length;
    own += (entry.type === 'file' ? 0 : size) + indirect.length * form.blockSize;
  }
  return { sources, extents, own };
}

/** In words, what a byte of a disk belongs to that has a map and was made of a tree: a file, or tables. */
export function ownerOf(map: ExtentMap, tree: Tree, position: number): string {
  const isPartition = position >= PARTITION_START && position < PARTITION_START + partitionLength(map.size);
  if (!isPartition) return 'the partition table';
  const source = sourceAt(map, position);
  if (source === undefined || source.blob === undefined) return 'the directories and tables of the file system';
  const isThere = ({ content: { blob, offset, size } }: FileEntry) =>
    blob === source.blob && offset === source.offset && size > 0;
  return `/${tree.filter(isFile).find(isThere)?.path}`;
}
