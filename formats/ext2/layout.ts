import type { Entry, Tree } from '../../model/artifact.ts';
import { inodeOf, nameOf, parentOf } from '../tree.ts';
import { blockSizeFor, dataBlocks, FIRST_INODE, type Geometry, geometry } from './geometry.ts';

/** Which inode and which blocks each entry of a tree gets. Nothing here reads a byte of any file. */

const ROOT_INODE = 2;
/** A symbolic link shorter than this is kept in the inode itself. */
const FAST_SYMLINK = 60;
const DIRECT = 12;

export interface Inode {
  readonly number: number;
  /** The first of its names, which decides owner, mode and time. */
  readonly entry: Entry;
  links: number;
  readonly size: number;
  /** The inode's 15 block pointers. */
  readonly pointers: Uint32Array;
  /** The blocks that hold its contents, in order. */
  readonly data: Uint32Array;
  readonly indirect: readonly { readonly block: number; readonly pointers: Uint32Array }[];
  /** For a directory: the names in it. */
  readonly children: { readonly name: Buffer; readonly inode: number; readonly type: Entry['type'] }[];
  readonly parent: number;
}

export interface Layout {
  readonly geometry: Geometry;
  /** In the order of their numbers, the root first. */
  readonly inodes: readonly Inode[];
  /** Blocks in use, in each group from its first data block on without a gap. */
  readonly used: readonly number[];
}

/** The smallest number of bytes, in whole MiB, that a tree needs; the file system's own tables included. */
export function smallestSize(tree: Tree): number {
  const fits = (mib: number) => {
    const size = mib * 1024 ** 2;
    const need = demand(tree, blockSizeFor(size));
    return hasRoom(geometry(size, need.inodes), need);
  };
  let high = 1;
  while (!fits(high)) high *= 2;
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high * 1024 ** 2;
}

/** The layout of a tree (with all parent directories) in a file system of `size` bytes, or undefined if it does not fit. */
export function layOut(tree: Tree, size: number): Layout | undefined {
  const blockSize = blockSizeFor(size);
  const need = demand(tree, blockSize);
  const geo = geometry(size, need.inodes);
  if (!hasRoom(geo, need)) return undefined;

  const numbers = new Map<string, number>();
  const directories = new Map<string, Inode>();
  const byNumber = new Map<number, Inode>();
  const inodes: Inode[] = [];
  const allocator = new Allocator(geo);
  const sizes = directorySizes(tree, blockSize);
  let next = FIRST_INODE;
  for (const entry of tree) {
    const identity = inodeOf(entry);
    const known = numbers.get(identity);
    const number = known ?? (entry.path === '' ? ROOT_INODE : next++);
    const parent = directories.get(parentOf(entry.path) ?? '');
    if (known === undefined) {
      numbers.set(identity, number);
      const length = contentLength(entry, sizes);
      const inode: Inode = {
        number,
        entry,
        links: entry.type === 'directory' ? 2 : 1,
        size: length,
        ...allocator.file(isInline(entry) ? 0 : Math.ceil(length / blockSize)),
        children: [],
        parent: parent?.number ?? ROOT_INODE,
      };
      inodes.push(inode);
      byNumber.set(number, inode);
      if (entry.type === 'directory') {
        directories.set(entry.path, inode);
        if (parent) parent.links++;
      }
    } else {
      byNumber.get(known)!.links++;
    }
    parent?.children.push({ name: Buffer.from(nameOf(entry.path)), inode: number, type: entry.type });
  }
  return { geometry: geo, inodes, used: allocator.used() };
}

/** The entry whose contents a byte of the file system belongs to; undefined if it is of the tables, or of no file. */
export function ownerOf({ geometry: { blockSize }, inodes }: Layout, position: number): Entry | undefined {
  const block = Math.floor(position / blockSize);
  const owns = ({ data, indirect }: Inode) => data.includes(block) || indirect.some((each) => each.block === block);
  return inodes.find(owns)?.entry;
}

/** Blocks are given out in ascending order, so that an image is written from front to back. */
class Allocator {
  readonly #geometry: Geometry;
  #group = 0;
  #next: number;

  constructor(geo: Geometry) {
    this.#geometry = geo;
    this.#next = geo.groups[0]!.data;
  }

  /** The blocks of a file of so many blocks, its indirect blocks placed before what they point to. */
  file(count: number): Pick<Inode, 'pointers' | 'data' | 'indirect'> {
    const pointers = new Uint32Array(15);
    const data = new Uint32Array(count);
    const indirect: { block: number; pointers: Uint32Array }[] = [];
    const perBlock = this.#geometry.blockSize / 4;
    let done = 0;
    const tree = (depth: number): number => {
      const block = this.#take();
      if (depth === 0) {
        data[done++] = block;
        return block;
      }
      const children = new Uint32Array(perBlock);
      indirect.push({ block, pointers: children });
      for (let n = 0; n < perBlock && done < count; n++) children[n] = tree(depth - 1);
      return block;
    };
    for (let n = 0; n < DIRECT && done < count; n++) pointers[n] = tree(0);
    for (let depth = 1; depth <= 3 && done < count; depth++) pointers[DIRECT + depth - 1] = tree(depth);
    return { pointers, data, indirect };
  }

  used(): number[] {
    return this.#geometry.groups.map((group, n) => {
      if (n > this.#group) return 0;
      const end = n === this.#group ? this.#next : group.start + group.blocks;
      return Math.max(0, end - group.data);
    });
  }

  #take(): number {
    for (;;) {
      const group = this.#geometry.groups[this.#group]!;
      if (this.#next < group.start + group.blocks) return this.#next++;
      this.#group++;
      this.#next = this.#geometry.groups[this.#group]!.data;
    }
  }
}

interface Demand {
  readonly blocks: number;
  readonly inodes: number;
}

function hasRoom(geo: Geometry, need: Demand): boolean {
  return dataBlocks(geo) >= need.blocks && geo.groups.length * geo.inodesPerGroup >= need.inodes + FIRST_INODE;
}

function demand(tree: Tree, blockSize: number): Demand {
  const sizes = directorySizes(tree, blockSize);
  const seen = new Set<string>();
  let blocks = 0;
  for (const entry of tree) {
    const identity = inodeOf(entry);
    if (seen.has(identity)) continue;
    seen.add(identity);
    if (!isInline(entry)) blocks += withIndirect(Math.ceil(contentLength(entry, sizes) / blockSize), blockSize / 4);
  }
  return { blocks, inodes: seen.size };
}

function withIndirect(data: number, perBlock: number): number {
  let total = data;
  let left = data - DIRECT;
  for (let depth = 1; depth <= 3 && left > 0; depth++) {
    const here = Math.min(left, perBlock ** depth);
    for (let level = 1; level <= depth; level++) total += Math.ceil(here / perBlock ** level);
    left -= here;
  }
  return total;
}

function isInline(entry: Entry): boolean {
  return entry.type === 'symlink' && Buffer.byteLength(entry.target) < FAST_SYMLINK;
}

function contentLength(entry: Entry, directories: ReadonlyMap<string, number>): number {
  if (entry.type === 'file') return entry.content.size;
  if (entry.type === 'symlink') return Buffer.byteLength(entry.target);
  return entry.type === 'directory' ? directories.get(entry.path)! : 0;
}

/** The length of a directory entry: 8 bytes and the name, rounded up to 4. */
export function entryLength(name: number): number {
  return (8 + name + 3) & ~3;
}

/** The sizes of all directories in bytes: no entry crosses the end of a block. */
function directorySizes(tree: Tree, blockSize: number): Map<string, number> {
  const dots = entryLength(1) + entryLength(2);
  const fills = new Map<string, { full: number; fill: number }>();
  for (const entry of tree) {
    if (entry.type === 'directory') fills.set(entry.path, { full: 0, fill: dots });
    const parent = parentOf(entry.path);
    if (parent === undefined) continue;
    const at = fills.get(parent)!;
    const length = entryLength(Buffer.byteLength(nameOf(entry.path)));
    if (at.fill + length > blockSize) {
      at.full++;
      at.fill = 0;
    }
    at.fill += length;
  }
  return new Map([...fills].map(([path, at]) => [path, (at.full + 1) * blockSize]));
}
