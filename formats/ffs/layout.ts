import type { Entry } from '../../model/artifact.ts';
import type { TreeIndex } from '../../model/extents.ts';
import type { Allocator, BlockMaps } from '../blocks.ts';
import { type DirectoryForm, Inodes } from '../inodes.ts';
import { TYPES } from '../treeindex.ts';
import { FIRST_INODE, FRAGMENTS, fragmentsOf, type Geometry, geometry, type Version } from './geometry.ts';

/** Which inode and which fragments each entry of a tree gets. Nothing here reads a byte of any file. */

/** The file types of directory entries (sys/dirent.h: DT_*). */
const FILE_TYPES: Readonly<Record<Entry['type'], number>> = {
  fifo: 1,
  character: 2,
  directory: 4,
  block: 6,
  file: 8,
  symlink: 10,
};

const KINDS = TYPES.map((type) => FILE_TYPES[type]);

/** Directories of FFS: chunks of 512 bytes; names end with a zero (sys/ufs/ufs/dir.h). */
const DIRECTORIES: DirectoryForm = {
  chunk: 512,
  entryLength: (name) => (8 + name + 1 + 3) & ~3,
  kind: (type, name) => KINDS[type]! | (name << 8),
};

export interface FfsLayout {
  readonly geometry: Geometry;
  readonly inodes: Inodes;
  /** Of each group, the runs of fragments in use, ascending: where in the file system each begins, and where it ends. */
  readonly used: readonly (readonly number[])[];
  readonly maps: BlockMaps;
}

/** The layout of a tree (with all parent directories) in a file system of `size` bytes, or undefined if it does not fit. */
export function layOut(tree: TreeIndex, size: number, version: Version): FfsLayout | undefined {
  const fastSymlink = 15 * pointerSizeOf(version);
  const inodes = new Inodes(tree, { first: FIRST_INODE, fastSymlink, directories: DIRECTORIES });
  const geo = geometry(size, inodes.count, version);
  if (geo === undefined) return undefined;
  const fragments = new Fragments(geo);
  const maps = inodes.place(fragments);
  return maps && { geometry: geo, inodes, maps, used: fragments.used };
}

/** How many bytes the number of a block has. */
export function pointerSizeOf(version: Version): 4 | 8 {
  return version === 1 ? 4 : 8;
}

/** What is less than a block lies in one; what is left of a block that the next file does not fit into stays free. */
class Fragments implements Allocator {
  readonly blockSize: number;
  readonly perBlock: number;
  readonly #geometry: Geometry;
  #group = 0;
  #next: number;
  readonly used: number[][];
  isFull = false;
  first = 0;

  constructor(geo: Geometry) {
    this.blockSize = geo.blockSize;
    this.perBlock = geo.blockSize / pointerSizeOf(geo.version);
    this.#geometry = geo;
    this.#next = geo.data + geo.summaryFragments;
    this.used = Array.from({ length: geo.groups }, () => []);
  }

  take(bytes: number): number {
    const { blockSize, fragmentSize } = this.#geometry;
    const blocks = Math.floor(bytes / blockSize);
    if (blocks === 0) return this.#takePart(Math.ceil(bytes / fragmentSize));
    this.first = this.#room(FRAGMENTS);
    const count = Math.min(blocks, Math.floor((this.#end - this.first) / FRAGMENTS));
    this.#use(count * FRAGMENTS);
    return count;
  }

  /** So many fragments of one block. */
  #takePart(fragments: number): number {
    this.first = this.#room(fragments);
    this.#use(fragments);
    return 1;
  }

  /** Where the next fragments are free that lie in one block; at most one block of them. */
  #room(fragments: number): number {
    for (;;) {
      const within = this.#next % FRAGMENTS;
      const at = within + fragments > FRAGMENTS ? this.#next - within + FRAGMENTS : this.#next;
      if (at + fragments <= this.#end) return at;
      if (this.#group + 1 === this.#geometry.groups) {
        this.isFull = true;
        return 0;
      }
      this.#group++;
      this.#next = this.#group * this.#geometry.perGroup + this.#geometry.data;
    }
  }

  #use(fragments: number): void {
    if (this.isFull) return;
    this.#next = this.first + fragments;
    const runs = this.used[this.#group]!;
    if (runs.at(-1) === this.first) runs[runs.length - 1] = this.#next;
    else runs.push(this.first, this.#next);
  }

  /** Where the group ends. */
  get #end(): number {
    return this.#group * this.#geometry.perGroup + fragmentsOf(this.#geometry, this.#group);
  }
}
