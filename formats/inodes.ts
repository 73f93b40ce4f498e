import type { Entry } from '../model/artifact.ts';
import type { TreeIndex } from '../model/extents.ts';
import { numberOutOfRange } from '../model/problems.ts';
import { type Allocator, BlockMaps } from './blocks.ts';
import { aligned, FIELDS, SIZE } from './extentmap.ts';
import {
  BLOCK,
  CHARACTER,
  DIRECTORY,
  END,
  FirstNames,
  HARD,
  homesOf,
  isFileType,
  NTH,
  NUMBERS,
  pathOf,
  SYMLINK,
  TYPE,
  TYPES,
} from './treeindex.ts';

/** What file systems of UNIX's kin have in common: inodes, and directories that name them. */

export const ROOT_INODE = 2;
/** The bits of a mode that tell the type (sys/stat.h: S_IFMT). */
export const TYPE_BITS: Readonly<Record<Entry['type'], number>> = {
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
};

/** The same by the numbers of types. */
export const MODES = TYPES.map((type) => TYPE_BITS[type]);

/** How a file system writes its directories. No entry crosses the end of a chunk. */
export interface DirectoryForm {
  readonly chunk: number;
  /** The length of an entry whose name has so many bytes. */
  entryLength(name: number): number;
  /** What stands for its type and the length of its name, in 16 bits. */
  kind(type: number, name: number): number;
}

export interface Numbering {
  /** The first inode that is not reserved. */
  readonly first: number;
  /** A symbolic link shorter than this is kept in the inode itself. */
  readonly fastSymlink: number;
  readonly directories: DirectoryForm;
}

/** The inodes of a tree (with all parent directories), in columns: in the order of their numbers, the root first. */
export class Inodes {
  readonly tree: TreeIndex;
  /** Which entry of the tree is the first of the names of each: that one decides owner, mode and time. */
  readonly entries: Int32Array;
  /** How many names each has. */
  readonly links: Int32Array;
  /** Bytes of contents of each. */
  readonly sizes: Float64Array;
  /** How many there are. */
  readonly count: number;
  /** Which ones are directories. */
  readonly directories: readonly number[];
  readonly #numbering: Numbering;
  /** Of each entry, which inode it names. */
  readonly #inodes: Int32Array;
  /** Of each entry, where its name begins, and the directory that it is in. */
  readonly #names: Int32Array;
  readonly #parents: Int32Array;
  /** Of each directory the first entry in it, and of each entry the next one in the same directory; 0 at the end. */
  readonly #firstChild: Int32Array;
  readonly #nextChild: Int32Array;

  constructor(tree: TreeIndex, numbering: Numbering) {
    const { length, numbers } = tree;
    const column = () => new Int32Array(length);
    const [entries, links, inodes, firstChild, nextChild] = [column(), column(), column(), column(), column()];
    const sizes = new Float64Array(length);
    const { names, parents } = homesOf(tree);
    const firsts = new FirstNames(tree);
    const directories: number[] = [];
    const link = (inode: number) => {
      links[inode]!++;
      if (links[inode]! <= LINK_MAX) return;
      throw numberOutOfRange(pathOf(tree, entries[inode]!), 'number of links', links[inode]!, LINK_MAX);
    };
    let count = 0;
    for (let n = 0; n < length; n++) {
      const type = numbers[n * NUMBERS + TYPE]!;
      const first = type === HARD ? firsts.of(n) : n;
      if (first !== n) {
        inodes[n] = inodes[first]!;
        link(inodes[n]!);
        continue;
      }
      inodes[n] = count;
      entries[count] = n;
      links[count] = 1;
      if (type === DIRECTORY) {
        directories.push(count);
        link(count);
        if (n > 0) link(inodes[parents[n]!]!);
      } else sizes[count] = contentLength(tree, n);
      count++;
    }
    for (let n = length - 1; n > 0; n--) {
      const parent = parents[n]!;
      nextChild[n] = firstChild[parent]!;
      firstChild[parent] = n;
    }
    this.tree = tree;
    this.entries = entries;
    this.links = links;
    this.sizes = sizes;
    this.count = count;
    this.directories = directories;
    this.#numbering = numbering;
    this.#inodes = inodes;
    this.#names = names;
    this.#parents = parents;
    this.#firstChild = firstChild;
    this.#nextChild = nextChild;
    for (const each of directories) sizes[each] = this.#directorySize(each);
  }

  /** Bytes of contents that are no file's, at most: directories and targets of links, aligned. */
  get ownSize(): number {
    let size = 0;
    for (const each of this.directories) size += this.sizes[each]!;
    for (const target of this.tree.targets) size += aligned(Buffer.byteLength(target));
    return size;
  }

  numberOf(inode: number): number {
    return inode === 0 ? ROOT_INODE : this.#numbering.first + inode - 1;
  }

  /** The largest number of all. */
  get last(): number {
    return this.numberOf(this.count - 1);
  }

  /** The first of those whose numbers are not below that one. */
  from(number: number): number {
    return number <= ROOT_INODE ? 0 : Math.min(this.count, Math.max(1, number - this.#numbering.first + 1));
  }

  /** How many directories there are in each of so many groups of inodes; `groupOf` tells in which one a number is. */
  directoriesIn(groups: number, groupOf: (number: number) => number): Uint32Array {
    const counts = new Uint32Array(groups);
    for (const each of this.directories) counts[groupOf(this.numberOf(each))]!++;
    return counts;
  }

  /** Finds room for the contents of all; undefined if there is too little. */
  place(allocator: Allocator): BlockMaps | undefined {
    const { numbers } = this.tree;
    const maps = new BlockMaps(this.count);
    for (let n = 0; n < this.count; n++) {
      const size = this.sizes[n]!;
      const isLink = numbers[this.entries[n]! * NUMBERS + TYPE] === SYMLINK;
      const isFast = isLink && size < this.#numbering.fastSymlink;
      maps.add(isFast ? 0 : size, allocator);
      if (allocator.isFull) return undefined;
    }
    return maps;
  }

  /**
   * Writes the contents of a directory into zeros, at a multiple of 4; gives how many bytes of them are more than zeros at
   * the end.
   */
  writeDirectory(inode: number, bytes: Buffer): number {
    const { numbers, paths } = this.tree;
    const { chunk, entryLength, kind } = this.#numbering.directories;
    const entry = this.entries[inode]!;
    const words = wordsOf(bytes.subarray(0, this.sizes[inode]!));
    let at = 0;
    let previous = 0;
    const put = (number: number, type: number, names: Buffer, start: number, end: number) => {
      const length = entryLength(end - start);
      const next = entryPlace(at, length, chunk);
      // The last entry of a chunk reaches to its end.
      if (next > at) setLength(words, previous, next - previous);
      words[next / 4] = number;
      words[next / 4 + 1] = (kind(type, end - start) << 16) | length;
      // To copy so few bytes in any other way takes longer.
      for (let n = 0; n < end - start; n++) bytes[next + 8 + n] = names[start + n]!;
      previous = next;
      at = next + length;
    };
    const parent = this.#inodes[Math.max(0, this.#parents[entry]!)]!;
    put(this.numberOf(inode), DIRECTORY, DOTS, 0, 1);
    put(this.numberOf(parent), DIRECTORY, DOTS, 0, 2);
    for (let n = this.#firstChild[entry]!; n > 0; n = this.#nextChild[n]!) {
      const number = this.numberOf(this.#inodes[n]!);
      put(number, numbers[n * NUMBERS + TYPE]!, paths, this.#names[n]!, numbers[n * NUMBERS + END]!);
    }
    setLength(words, previous, this.sizes[inode]! - previous);
    return at;
  }

  /** Bytes; whole chunks. */
  #directorySize(inode: number): number {
    const { chunk, entryLength } = this.#numbering.directories;
    let end = entryLength(1) + entryLength(2);
    for (let n = this.#firstChild[this.entries[inode]!]!; n > 0; n = this.#nextChild[n]!) {
      const length = entryLength(this.tree.numbers[n * NUMBERS + END]! - this.#names[n]!);
      end = entryPlace(end, length, chunk) + length;
    }
    return Math.ceil(end / chunk) * chunk;
  }
}

/** How many names an inode may have: NetBSD's limits.h, since FFS's di_nlink is 16 bits with a sign. */
const LINK_MAX = 2 ** 15 - 1;

/** Makes the entry of a directory at a place longer. */
function setLength(words: Uint32Array, at: number, length: number): void {
  words[at / 4 + 1] = (words[at / 4 + 1]! & 0xffff0000) | length;
}

const DOTS = Buffer.from('..');

/** Where an entry of a directory begins that follows one which ends there. */
function entryPlace(end: number, length: number, chunk: number): number {
  return (end % chunk) + length > chunk ? Math.ceil(end / chunk) * chunk : end;
}

/** What an entry that is no directory points to, in bytes. */
function contentLength({ numbers, sources, targets }: TreeIndex, n: number): number {
  const nth = numbers[n * NUMBERS + NTH]!;
  const type = numbers[n * NUMBERS + TYPE]!;
  if (isFileType(type)) return sources[nth * FIELDS + SIZE]!;
  return type === SYMLINK ? Buffer.byteLength(targets[nth]!) : 0;
}

/** The words of a table of inodes. They are set in a fraction of the time that a Buffer takes, and nothing is checked. */
export function wordsOf(table: Buffer): Uint32Array {
  return new Uint32Array(table.buffer, table.byteOffset, table.length / 4);
}

/**
 * Writes what inodes have `start` bytes into them: pointers to blocks, a short target, or a device's number. `size` is that
 * of a pointer, `step` how many units a block has.
 */
export function placeWriter(
  { tree, entries }: Inodes,
  maps: BlockMaps,
  table: Buffer,
  start: number,
  size: 4 | 8,
  step: number,
): (inode: number, at: number) => void {
  const { numbers, targets, devices } = tree;
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  return (inode, at) => {
    const from = entries[inode]! * NUMBERS;
    const type = numbers[from + TYPE]!;
    const nth = numbers[from + NTH]!;
    if (maps.blocks[inode]! > 0) maps.writePointers(inode, view, at + start, size, step);
    else if (type === SYMLINK) table.write(targets[nth]!, at + start);
    else if (type === CHARACTER || type === BLOCK) view.setUint32(at + start, deviceNumber(devices[nth]!), true);
  };
}

/** NetBSD's dev_t (sys/types.h: makedev); the same as Linux's old form where both numbers are below 256. */
function deviceNumber([major, minor]: readonly [major: number, minor: number]): number {
  return (((major << 8) & 0x000fff00) | ((minor << 12) & 0xfff00000) | (minor & 0xff)) >>> 0;
}

/** The inverse of `deviceNumber`. */
export function deviceOf(number: number): { major: number; minor: number } {
  return { major: (number & 0x000fff00) >>> 8, minor: ((number & 0xfff00000) >>> 12) | (number & 0xff) };
}
