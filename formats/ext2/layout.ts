import type { Entry } from '../../model/artifact.ts';
import type { TreeIndex } from '../../model/extents.ts';
import type { Allocator, BlockMaps } from '../blocks.ts';
import { type DirectoryForm, Inodes } from '../inodes.ts';
import { TYPES } from '../treeindex.ts';
import { blockSizeFor, FIRST_INODE, type Geometry, geometry } from './geometry.ts';

/** Which inode and which blocks each entry of a tree gets. Nothing here reads a byte of any file. */

/** A symbolic link shorter than this is kept in the inode itself. */
export const FAST_SYMLINK = 60;
/** The file types of directory entries (ext2fs_dir.h: EXT2_FT_*). */
const FILE_TYPES: Readonly<Record<Entry['type'], number>> = {
  file: 1,
  directory: 2,
  character: 3,
  block: 4,
  fifo: 5,
  symlink: 7,
};

const KINDS = TYPES.map((type) => FILE_TYPES[type]);

export interface Ext2Layout {
  readonly geometry: Geometry;
  readonly inodes: Inodes;
  /** Blocks in use, in each group from its first data block on without a gap. */
  readonly used: readonly number[];
  readonly maps: BlockMaps;
}

/** Directories of ext2: 8 bytes and the name, rounded up to 4 (ext2fs_dir.h). */
const directoriesOf = (blockSize: number): DirectoryForm => ({
  chunk: blockSize,
  entryLength: (name) => (8 + name + 3) & ~3,
  kind: (type, name) => name | (KINDS[type]! << 8),
});

/** The layout of a tree (with all parent directories) in a file system of `size` bytes, or undefined if it does not fit. */
export function layOut(tree: TreeIndex, size: number): Ext2Layout | undefined {
  const directories = directoriesOf(blockSizeFor(size));
  const inodes = new Inodes(tree, { first: FIRST_INODE, fastSymlink: FAST_SYMLINK, directories });
  const geo = geometry(size, inodes.count);
  if (geo.groups.length * geo.inodesPerGroup < inodes.count + FIRST_INODE) return undefined;
  const blocks = new Blocks(geo);
  const maps = inodes.place(blocks);
  return maps && { geometry: geo, inodes, maps, used: blocks.used() };
}

class Blocks implements Allocator {
  readonly blockSize: number;
  readonly perBlock: number;
  readonly #geometry: Geometry;
  #group = 0;
  #next: number;
  isFull = false;
  first = 0;

  constructor(geo: Geometry) {
    this.blockSize = geo.blockSize;
    this.perBlock = geo.blockSize / 4;
    this.#geometry = geo;
    this.#next = geo.groups[0]!.data;
  }

  take(bytes: number): number {
    const blocks = Math.ceil(bytes / this.blockSize);
    for (;;) {
      const group = this.#geometry.groups[this.#group]!;
      const first = this.#next;
      const count = Math.min(blocks, group.start + group.blocks - first);
      if (count > 0) {
        this.#next += count;
        this.first = first;
        return count;
      }
      const next = this.#geometry.groups[this.#group + 1];
      if (next === undefined) {
        this.isFull = true;
        return blocks;
      }
      this.#group++;
      this.#next = next.data;
    }
  }

  used(): number[] {
    return this.#geometry.groups.map((group, n) => {
      if (n > this.#group) return 0;
      const end = n === this.#group ? this.#next : group.start + group.blocks;
      return Math.max(0, end - group.data);
    });
  }
}
