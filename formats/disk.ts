import type { FileEntry, Tree } from '../model/artifact.ts';
import type { ExtentMap, TreeIndex } from '../model/extents.ts';
import { writePointers } from './blocks.ts';
import { ext2 } from './ext2/write.ts';
import { aligned, MapBuilder, sourceAt } from './extentmap.ts';
import { ffs } from './ffs/write.ts';
import { type FileSystem, type Layout, type Table, tableOf } from './filesystem.ts';
import { gptTables, PARTITION_START, partitionLength } from './gpt.ts';
import type { Inodes } from './inodes.ts';
import { SECTOR } from './sectors.ts';
import { isFile } from './tree.ts';
import { contentSize, isFileType, NTH, NUMBERS, newestTime, SYMLINK, TYPE } from './treeindex.ts';
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
  readonly layout: Layout;
}

/** Finds room for a tree on a disk; undefined if it does not fit. */
export function layOutDisk(tree: TreeIndex, form: DiskForm, seed: string): Disk | undefined {
  const layout = FILE_SYSTEMS[form.fs](tree, partitionLength(form.size));
  return layout && { ...form, seed, layout };
}

/** The smallest disk, in whole MiB, given in bytes, that has room for a tree and leaves so many bytes free. */
export function smallestDisk(tree: TreeIndex, fs: FileSystemName, free = 0): number {
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
function* tablesOf({ size, partition, fs, seed, layout }: Disk): Generator<Table> {
  const gpt = gptTables({ size, name: partition, type: fs === 'ext2' ? 'ext2' : 'ffs', seed });
  for (const { position, bytes } of gpt) yield tableOf(position, bytes);
  const time = newestTime(layout.inodes.tree);
  const identity = { uuid: uuidFrom(seed, 'file system'), label: partition.slice(0, 16), time };
  for (const table of layout.tables(identity)) yield { ...table, position: table.position + PARTITION_START };
}

/** All that is on a disk, as the bytes of a map of extents, from front to back; only indirect blocks come after what they point to. */
export function mapOf(disk: Disk): Buffer {
  const { size, layout } = disk;
  const { form } = layout;
  const tables = [...tablesOf(disk)].sort((a, b) => a.position - b.position);
  const builder = new MapBuilder(size, layout.inodes.tree, countsOf(layout, tables));
  let next = 0;
  const addTablesBefore = (end: number) => {
    for (; next < tables.length && tables[next]!.position < end; next++) {
      const { position, size, write } = tables[next]!;
      write(builder.own.subarray(0, size));
      builder.addOwn(size);
      // Whole sectors: no file system has anything else in what is left of the last one.
      builder.addExtent(position, Math.ceil(size / SECTOR) * SECTOR);
    }
  };
  const { starts, runs } = layout.maps;
  for (let n = 0; n < layout.inodes.count; n++) {
    const run = starts[n]!;
    if (run === starts[n + 1]) continue;
    addTablesBefore(PARTITION_START + runs[2 * run]! * form.unit);
    addContents(builder, n, layout.inodes);
    addBlocks(builder, n, layout);
  }
  addTablesBefore(size);
  return builder.end();
}

/** Adds what an inode holds as a source. */
function addContents(builder: MapBuilder, inode: number, inodes: Inodes): void {
  const { tree, entries } = inodes;
  const at = entries[inode]! * NUMBERS;
  const type = tree.numbers[at + TYPE]!;
  const nth = tree.numbers[at + NTH]!;
  if (isFileType(type)) builder.addFile(nth);
  else if (type === SYMLINK) builder.addOwn(builder.own.write(tree.targets[nth]!));
  else builder.addOwn(inodes.writeDirectory(inode, builder.own));
}

/** Adds where that goes, and the blocks that lead to it. */
function addBlocks(builder: MapBuilder, inode: number, { inodes, maps, form }: Layout): void {
  const { blockSize, unit, pointerSize } = form;
  const { starts, runs } = maps;
  let left = inodes.sizes[inode]!;
  for (let n = starts[inode]!; n < starts[inode + 1]!; n++) {
    const length = Math.min(left, runs[2 * n + 1]! * blockSize);
    // Up to the end of its last unit.
    builder.addExtent(PARTITION_START + runs[2 * n]! * unit, Math.ceil(length / unit) * unit);
    left -= length;
  }
  const indirection = maps.indirectionOf(inode);
  if (indirection === undefined) return;
  for (const { block, pointers } of indirection.blocks) {
    const { own } = builder;
    const view = new DataView(own.buffer, own.byteOffset, own.length);
    builder.addOwn(writePointers(view, 0, pointers, pointerSize, blockSize / unit));
    builder.addExtent(PARTITION_START + block * unit, blockSize);
  }
}

/** How much the map of a disk has of everything; at most so many own bytes. */
function countsOf({ form, inodes, maps }: Layout, tables: readonly Table[]) {
  const { held, runs, indirect } = maps.counts;
  let own = indirect * form.blockSize + inodes.ownSize;
  for (const { size } of tables) own += aligned(size);
  return { sources: tables.length + held + indirect, extents: tables.length + runs + indirect, own };
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
