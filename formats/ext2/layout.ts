import type { Entry, Tree } from '../../model/artifact.ts';
import { countInodes, type DirectoryForm, type Inode, inodesOf, mapBlocks, type Run } from '../inodes.ts';
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

export interface Ext2Layout {
  readonly geometry: Geometry;
  /** In the order of their numbers, the root first. */
  readonly inodes: readonly Inode[];
  /** Blocks in use, in each group from its first data block on without a gap. */
  readonly used: readonly number[];
}

/** Directories of ext2: 8 bytes and the name, rounded up to 4 (ext2fs_dir.h). */
export const directoriesOf = (blockSize: number): DirectoryForm => ({
  chunk: blockSize,
  entryLength: (name) => (8 + name + 3) & ~3,
  writeKind: (bytes, at, type, name) => {
    bytes[at] = name;
    bytes[at + 1] = FILE_TYPES[type];
  },
});

/** The layout of a tree (with all parent directories) in a file system of `size` bytes, or undefined if it does not fit. */
export function layOut(tree: Tree, size: number): Ext2Layout | undefined {
  const blockSize = blockSizeFor(size);
  const count = countInodes(tree);
  const geo = geometry(size, count);
  if (geo.groups.length * geo.inodesPerGroup < count + FIRST_INODE) return undefined;
  const allocator = new Allocator(geo);
  const numbering = { first: FIRST_INODE, fastSymlink: FAST_SYMLINK, directories: directoriesOf(blockSize) };
  const inodes = inodesOf(tree, numbering, (length) =>
    mapBlocks(Math.ceil(length / blockSize), blockSize / 4, (blocks) => allocator.take(blocks)),
  );
  return allocator.isFull ? undefined : { geometry: geo, inodes, used: allocator.used() };
}

/** Blocks are given out in ascending order, so that an image is written from front to back. */
class Allocator {
  readonly #geometry: Geometry;
  #group = 0;
  #next: number;
  /** Whether more was asked for than there is. */
  isFull = false;

  constructor(geo: Geometry) {
    this.#geometry = geo;
    this.#next = geo.groups[0]!.data;
  }

  /** The next so many blocks, or as many as are left in their group. */
  take(blocks: number): Run {
    for (;;) {
      const group = this.#geometry.groups[this.#group]!;
      const first = this.#next;
      const count = Math.min(blocks, group.start + group.blocks - first);
      if (count > 0) {
        this.#next += count;
        return [first, count];
      }
      const next = this.#geometry.groups[this.#group + 1];
      if (next === undefined) {
        this.isFull = true;
        return [0, blocks];
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
