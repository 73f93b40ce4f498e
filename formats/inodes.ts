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

/** Where the contents of an inode lie. Numbers of blocks are in the units of the file system: ext2's blocks, FFS's fragments. */
export interface BlockMap {
  /** The inode's own 15 pointers. */
  readonly pointers: readonly number[];
  /** The blocks that hold its contents, in order. */
  readonly data: readonly number[];
  readonly indirect: readonly { readonly block: number; readonly pointers: Uint32Array }[];
}

export interface Inode extends BlockMap {
  readonly number: number;
  /** The first of its names, which decides owner, mode and time. */
  readonly entry: Entry;
  links: number;
  readonly size: number;
  /** For a directory: the names in it. */
  readonly children: { readonly name: string; readonly inode: number; readonly type: Entry['type'] }[];
  readonly parent: number;
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
  const sizes = directorySizes(tree, numbering.directories);
  const known = new Map<string, Inode>();
  const directories = new Map<string, Inode>();
  const inodes: Inode[] = [];
  let next = numbering.first;
  for (const entry of tree) {
    // Whatever cannot have a second name is spared the look for its first.
    const identity = entry.type === 'file' && entry.hard ? inodeOf(entry) : undefined;
    const parent = directories.get(parentOf(entry.path) ?? '');
    let inode = identity === undefined ? undefined : known.get(identity);
    if (inode === undefined) {
      const size = contentLength(entry, sizes);
      inode = {
        number: entry.path === '' ? ROOT_INODE : next++,
        entry,
        links: entry.type === 'directory' ? 2 : 1,
        size,
        ...place(entry.type === 'symlink' && size < numbering.fastSymlink ? 0 : size),
        children: [],
        parent: parent?.number ?? ROOT_INODE,
      };
      if (identity !== undefined) known.set(identity, inode);
      inodes.push(inode);
      if (entry.type === 'directory') {
        directories.set(entry.path, inode);
        if (parent) parent.links++;
      }
    } else {
      inode.links++;
    }
    parent?.children.push({ name: nameOf(entry.path), inode: inode.number, type: entry.type });
  }
  return inodes;
}

/** How many inodes a tree has. */
export function countInodes(tree: Tree): number {
  const linked = tree.filter((entry) => entry.type === 'file' && entry.hard);
  return tree.length - linked.length + new Set(linked.map(inodeOf)).size;
}

/**
 * Blocks for contents of `count` blocks, where an indirect block has room for `perBlock` pointers. `take` gives the next
 * block: of the contents, by its index, or, without one, an indirect block, which comes before all that it points to.
 */
export function mapBlocks(count: number, perBlock: number, take: (index?: number) => number): BlockMap {
  // Plain arrays: there are as many as there are files, most of them short.
  const pointers = new Array<number>(15).fill(0);
  const data: number[] = [];
  const indirect: { block: number; pointers: Uint32Array }[] = [];
  if (count <= DIRECT) {
    for (let n = 0; n < count; n++) pointers[n] = data[n] = take(n);
    return { pointers, data, indirect };
  }
  let done = 0;
  const grow = (depth: number): number => {
    if (depth === 0) {
      const block = take(done);
      data.push(block);
      done++;
      return block;
    }
    const block = take();
    const children = new Uint32Array(perBlock);
    indirect.push({ block, pointers: children });
    for (let n = 0; n < perBlock && done < count; n++) children[n] = grow(depth - 1);
    return block;
  };
  for (let n = 0; n < DIRECT; n++) pointers[n] = grow(0);
  for (let depth = 1; depth <= 3 && done < count; depth++) pointers[DIRECT + depth - 1] = grow(depth);
  return { pointers, data, indirect };
}

/** NetBSD's dev_t (sys/types.h: makedev); the same as Linux's old form where both numbers are below 256. */
export function deviceNumber({ major, minor }: { major: number; minor: number }): number {
  return (((major << 8) & 0x000fff00) | ((minor << 12) & 0xfff00000) | (minor & 0xff)) >>> 0;
}

/** The inverse of `deviceNumber`. */
export function deviceOf(number: number): { major: number; minor: number } {
  return { major: (number & 0x000fff00) >>> 8, minor: ((number & 0xfff00000) >>> 12) | (number & 0xff) };
}

/** The contents of a directory. */
export function directoryBytes(inode: Inode, { chunk, entryLength, writeKind }: DirectoryForm): Buffer {
  const bytes = Buffer.alloc(inode.size);
  let at = 0;
  let previous = 0;
  const put = (name: string, number: number, type: Entry['type']) => {
    const size = Buffer.byteLength(name);
    const length = entryLength(size);
    if ((at % chunk) + length > chunk || (at > 0 && at % chunk === 0)) {
      // The last entry of a chunk reaches to its end.
      const end = Math.ceil(at / chunk) * chunk;
      bytes.writeUInt16LE(end - previous, previous + 4);
      at = end;
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
  bytes.writeUInt16LE(bytes.length - previous, previous + 4);
  return bytes;
}

function contentLength(entry: Entry, directories: ReadonlyMap<string, number>): number {
  if (entry.type === 'file') return entry.content.size;
  if (entry.type === 'symlink') return Buffer.byteLength(entry.target);
  return entry.type === 'directory' ? directories.get(entry.path)! : 0;
}

/** The sizes of all directories in bytes. */
function directorySizes(tree: Tree, { chunk, entryLength }: DirectoryForm): Map<string, number> {
  const dots = entryLength(1) + entryLength(2);
  const fills = new Map<string, { full: number; fill: number }>();
  for (const entry of tree) {
    if (entry.type === 'directory') fills.set(entry.path, { full: 0, fill: dots });
    const parent = parentOf(entry.path);
    if (parent === undefined) continue;
    const at = fills.get(parent)!;
    const length = entryLength(Buffer.byteLength(nameOf(entry.path)));
    if (at.fill + length > chunk) {
      at.full++;
      at.fill = 0;
    }
    at.fill += length;
  }
  return new Map([...fills].map(([path, at]) => [path, (at.full + 1) * chunk]));
}
