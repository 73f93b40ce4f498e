import type { Entry, Tree } from '../../model/artifact.ts';
import { countInodes, DIRECT, type DirectoryForm, type Inode, inodesOf, mapBlocks, type Run } from '../inodes.ts';
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

/** Directories of FFS: chunks of 512 bytes; names end with a zero (sys/ufs/ufs/dir.h). */
export const DIRECTORIES: DirectoryForm = {
  chunk: 512,
  entryLength: (name) => (8 + name + 1 + 3) & ~3,
  writeKind: (bytes, at, type, name) => {
    bytes[at] = FILE_TYPES[type];
    bytes[at + 1] = name;
  },
};

export interface FfsLayout {
  readonly geometry: Geometry;
  readonly inodes: readonly Inode[];
  /** Runs of fragments in use, in ascending order, from the start of the file system: [from, to). */
  readonly used: readonly (readonly [number, number])[];
}

/** The layout of a tree (with all parent directories) in a file system of `size` bytes, or undefined if it does not fit. */
export function layOut(tree: Tree, size: number, version: Version): FfsLayout | undefined {
  const geo = geometry(size, countInodes(tree), version);
  if (geo === undefined) return undefined;
  const { blockSize, fragmentSize } = geo;
  const allocator = new Allocator(geo);
  const pointerSize = version === 1 ? 4 : 8;
  const numbering = { first: FIRST_INODE, fastSymlink: 15 * pointerSize, directories: DIRECTORIES };
  const inodes = inodesOf(tree, numbering, (length) => {
    const count = Math.ceil(length / blockSize);
    // A file that needs indirect blocks has no fragments: its last block is whole (fs.h: blksize).
    const tail = count <= DIRECT ? Math.ceil((length % blockSize) / fragmentSize) : 0;
    if (tail === 0) return mapBlocks(count, blockSize / pointerSize, (blocks) => allocator.take(blocks));
    let whole = count - 1;
    return mapBlocks(count, blockSize / pointerSize, (blocks) => {
      if (whole === 0) return allocator.takePart(tail);
      const run = allocator.take(Math.min(blocks, whole));
      whole -= run[1];
      return run;
    });
  });
  return allocator.isFull ? undefined : { geometry: geo, inodes, used: allocator.used };
}

/**
 * Fragments are given out in ascending order, so that an image is written from front to back. What is asked for at once
 * lies in one block; what is left of a block that the next file does not fit into stays free.
 */
class Allocator {
  readonly #geometry: Geometry;
  #group = 0;
  #next: number;
  readonly used: [number, number][] = [];
  /** Whether more was asked for than there is. */
  isFull = false;

  constructor(geo: Geometry) {
    this.#geometry = geo;
    this.#next = geo.data + geo.summaryFragments;
  }

  /** The next so many whole blocks, or as many as are left in their group. */
  take(blocks: number): Run {
    const first = this.#room(FRAGMENTS);
    const count = Math.min(blocks, Math.floor((this.#end - first) / FRAGMENTS));
    this.#use(first, count * FRAGMENTS);
    return [first, count];
  }

  /** So many fragments of one block. */
  takePart(fragments: number): Run {
    const first = this.#room(fragments);
    this.#use(first, fragments);
    return [first, 1];
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

  #use(first: number, fragments: number): void {
    if (this.isFull) return;
    this.#next = first + fragments;
    const last = this.used.at(-1);
    if (last !== undefined && last[1] === first) last[1] = this.#next;
    else this.used.push([first, this.#next]);
  }

  /** Where the group ends. */
  get #end(): number {
    return this.#group * this.#geometry.perGroup + fragmentsOf(this.#geometry, this.#group);
  }
}
