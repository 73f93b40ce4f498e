import type { Entry, Tree } from '../model/artifact.ts';
import { inodeOf, nameOf, parentOf } from './tree.ts';

/** What file systems of UNIX's kin have in common: inodes, the blocks that they point to, directories that name them. */

export const ROOT_INODE = 2;
/** The pointers of an inode that lead to contents themselves; three more lead through one, two and three indirect blocks. */
export const DIRECT = 12;

/** The bits of a mode that tell the type (sys/stat.h: S_IFMT). */
export const TYPE_BITS: Readonly<Record<Entry['type'], number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

/** Blocks that lie one after the other. Positions are in the units of the file system: ext2's blocks, FFS's fragments. */
export type Run = readonly [first: number, blocks: number];

/** Where the contents of an inode lie. */
export interface BlockMap {
  /** The blocks that hold its contents, in order; of FFS, the last may be a part of one. */
  readonly data: readonly Run[];
  /** The blocks with pointers to blocks, each before those that it points to. */
  readonly indirect: readonly { readonly block: number; readonly pointers: readonly Run[] }[];
  /** What the inode itself points to: the first 12 blocks, then one through each kind of indirect block. */
  readonly pointers: readonly Run[];
}

export interface Inode extends BlockMap {
  readonly number: number;
  /** The first of its names, which decides owner, mode and time. */
  readonly entry: Entry;
  links: number;
  readonly size: number;
  /** For a directory: the names in it. */
  readonly children: readonly Child[];
  readonly parent: number;
}

/** What a directory says of one of its entries. */
export interface Child {
  readonly name: string;
  readonly inode: number;
  readonly type: Entry['type'];
}

/** How a file system writes its directories. No entry crosses the end of a chunk. */
export interface DirectoryForm {
  readonly chunk: number;
  /** The length of an entry whose name has so many bytes. */
  entryLength(name: number): number;
  /** Writes the two bytes that stand for type and length of the name. */
  writeKind(bytes: Buffer, at: number, type: Entry['type'], name: number): void;
}

/** How a file system divides its contents; sizes in bytes. */
export interface BlockForm {
  readonly blockSize: number;
  /** What numbers of blocks count. */
  readonly unit: number;
  readonly pointerSize: 4 | 8;
  readonly directories: DirectoryForm;
}

export interface Numbering {
  /** The first inode that is not reserved. */
  readonly first: number;
  /** A symbolic link shorter than this is kept in the inode itself. */
  readonly fastSymlink: number;
  readonly directories: DirectoryForm;
}

/**
 * The inodes of a tree (with all parent directories), in the order of their numbers, the root first. `place` finds room
 * for contents of so many bytes, and is asked in the same order.
 */
export function inodesOf(tree: Tree, numbering: Numbering, place: (size: number) => BlockMap): Inode[] {
  const { directories, homes } = homesOf(tree, numbering.directories);
  const known = new Map<string, Inode>();
  const inodes: Inode[] = [];
  let next = numbering.first;
  for (let n = 0; n < tree.length; n++) {
    const entry = tree[n]!;
    const home = homes[n];
    // Whatever cannot have a second name is spared the look for its first.
    const identity = entry.type === 'file' && entry.hard ? inodeOf(entry) : undefined;
    let inode = identity === undefined ? undefined : known.get(identity);
    if (inode === undefined) {
      const own = entry.type === 'directory' ? directories.get(entry.path)! : undefined;
      const size = own?.size ?? contentLength(entry);
      const { data, indirect, pointers } = place(entry.type === 'symlink' && size < numbering.fastSymlink ? 0 : size);
      inode = {
        number: entry.path === '' ? ROOT_INODE : next++,
        entry,
        links: own === undefined ? 1 : 2,
        size,
        data,
        indirect,
        pointers,
        children: own?.children ?? NONE,
        parent: home?.inode?.number ?? ROOT_INODE,
      };
      if (identity !== undefined) known.set(identity, inode);
      inodes.push(inode);
      if (own !== undefined) {
        own.inode = inode;
        if (home?.inode) home.inode.links++;
      }
    } else {
      inode.links++;
    }
    home?.children.push({ name: nameOf(entry.path), inode: inode.number, type: entry.type });
  }
  return inodes;
}

/** How many inodes a tree has. */
export function countInodes(tree: Tree): number {
  const linked = tree.filter((entry) => entry.type === 'file' && entry.hard);
  return tree.length - linked.length + new Set(linked.map(inodeOf)).size;
}

/** Of what most inodes have none. */
const NONE: readonly never[] = [];

/**
 * Blocks for contents of `count` blocks, where an indirect block has room for `perBlock` pointers. `take` gives the next
 * free ones, as many as are asked for or as lie together; it is asked in the order of the contents, an indirect block
 * before all that it points to.
 */
export function mapBlocks(count: number, perBlock: number, take: (blocks: number) => Run): BlockMap {
  let left = count;
  const takeRuns = (most: number): readonly Run[] => {
    const wanted = Math.min(most, left);
    if (wanted === 0) return NONE;
    let run = take(wanted);
    // An array that is made with what it holds takes a tenth of the memory of one that grows.
    const runs = [run];
    for (let taken = run[1]; taken < wanted; taken += run[1]) {
      run = take(wanted - taken);
      runs.push(run);
    }
    left -= wanted;
    return runs;
  };
  if (count <= DIRECT) {
    const data = takeRuns(count);
    return { data, indirect: NONE, pointers: data };
  }
  const data = [...takeRuns(DIRECT)];
  const pointers = [...data];
  const indirect: { block: number; pointers: readonly Run[] }[] = [];
  const takeThrough = (depth: number): Run => {
    const block = take(1);
    const at = indirect.push({ block: block[0], pointers: NONE }) - 1;
    const children = depth === 1 ? [...takeRuns(perBlock)] : [];
    data.push(...children);
    while (depth > 1 && children.length < perBlock && left > 0) children.push(takeThrough(depth - 1));
    indirect[at]!.pointers = children;
    return block;
  };
  for (let depth = 1; depth <= 3 && left > 0; depth++) pointers.push(takeThrough(depth));
  return { data, indirect, pointers };
}

/** How many blocks there are in some runs. */
export function countBlocks(runs: readonly Run[]): number {
  let count = 0;
  for (const run of runs) count += run[1];
  return count;
}

/** Writes the addresses of blocks one after the other, and gives where they end; `step` is how many units a block has. */
export function writePointers(view: DataView, at: number, runs: readonly Run[], size: 4 | 8, step: number): number {
  let next = at;
  for (const run of runs) {
    for (let n = 0; n < run[1]; n++, next += size) view.setUint32(next, run[0] + n * step, true);
  }
  return next;
}

/** NetBSD's dev_t (sys/types.h: makedev); the same as Linux's old form where both numbers are below 256. */
export function deviceNumber({ major, minor }: { major: number; minor: number }): number {
  return (((major << 8) & 0x000fff00) | ((minor << 12) & 0xfff00000) | (minor & 0xff)) >>> 0;
}

/** The inverse of `deviceNumber`. */
export function deviceOf(number: number): { major: number; minor: number } {
  return { major: (number & 0x000fff00) >>> 8, minor: ((number & 0xfff00000) >>> 12) | (number & 0xff) };
}

/** Writes the contents of a directory into zeros; gives how many bytes of them are more than zeros at the end. */
export function writeDirectory(inode: Inode, { chunk, entryLength, writeKind }: DirectoryForm, bytes: Buffer): number {
  let at = 0;
  let previous = 0;
  const put = (name: string, number: number, type: Entry['type']) => {
    const size = Buffer.byteLength(name);
    const length = entryLength(size);
    if ((at % chunk) + length > chunk || (at > 0 && at % chunk === 0)) {
      // The last entry of a chunk reaches to its end.
      const next = Math.ceil(at / chunk) * chunk;
      bytes.writeUInt16LE(next - previous, previous + 4);
      at = next;
    }
    bytes.writeUInt32LE(number, at);
    bytes.writeUInt16LE(length, at + 4);
    writeKind(bytes, at + 6, type, size);
    bytes.write(name, at + 8);
    previous = at;
    at += length;
  };
  put('.', inode.number, 'directory');
  put('..', inode.parent, 'directory');
  for (const child of inode.children) put(child.name, child.inode, child.type);
  bytes.writeUInt16LE(inode.size - previous, previous + 4);
  return at;
}

/** What an entry that is no directory points to, in bytes. */
function contentLength(entry: Entry): number {
  if (entry.type === 'file') return entry.content.size;
  return entry.type === 'symlink' ? Buffer.byteLength(entry.target) : 0;
}

/** A directory while its inode is looked for. */
class Directory {
  readonly children: Child[] = [];
  inode: Inode | undefined;
  #chunks = 1;
  #fill: number;
  readonly #form: DirectoryForm;

  constructor(form: DirectoryForm) {
    this.#form = form;
    this.#fill = form.entryLength(1) + form.entryLength(2);
  }

  /** Makes room for a name. */
  add(name: string): void {
    const length = this.#form.entryLength(Buffer.byteLength(name));
    if (this.#fill + length > this.#form.chunk) {
      this.#chunks++;
      this.#fill = 0;
    }
    this.#fill += length;
  }

  /** Bytes. */
  get size(): number {
    return this.#chunks * this.#form.chunk;
  }
}

/** For each entry of a tree the directory that it is in, with room for all names; and all directories by their paths. */
function homesOf(tree: Tree, form: DirectoryForm) {
  const directories = new Map<string, Directory>();
  const homes: (Directory | undefined)[] = [];
  let path = '';
  let home: Directory | undefined;
  for (const entry of tree) {
    const parent = parentOf(entry.path);
    // Most entries lie in the directory of the one before.
    if (parent !== path || home === undefined) {
      path = parent ?? '';
      home = parent === undefined ? undefined : directories.get(path);
    }
    homes.push(home);
    home?.add(nameOf(entry.path));
    if (entry.type === 'directory') directories.set(entry.path, new Directory(form));
  }
  return { directories, homes };
}
