import { isAscii } from 'node:buffer';
import { blobsIn, type Digest, type Entry, type Slice, type Tree } from '../model/artifact.ts';
import type { TreeIndex } from '../model/extents.ts';
import { numberOutOfRange } from '../model/problems.ts';
import { aligned, BLOB, CRC, DIGEST, FIELDS, fillSources, NO_CRC, OFFSET, SIZE } from './extentmap.ts';
import { isFile } from './tree.ts';

/**
 * Trees as bytes: paths one after the other, numbers and digests in columns, little-endian as those of every host are, and
 * the few words that are left as JSON. What a build does with each tree it does with these columns; entries as objects are
 * for whoever does less often what is said better with them.
 */

const MAGIC = 'smoltre3';
/** The magic and four numbers: bytes of words, bytes of paths, entries, files. */
const HEADER = 40;
/** The numbers of an entry: type, mode, owner, group, time or NO_TIME, where its path ends, which one of its type it is. */
export const NUMBERS = 7;
export const [TYPE, MODE, UID, GID, MTIME, END, NTH] = [0, 1, 2, 3, 4, 5, 6];
export const NO_TIME = 2 ** 32 - 1;
/** What stands for a type: its place here. The last is a file with the mark of several names. */
export const TYPES: readonly Entry['type'][] = ['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'file'];
export const [FILE, DIRECTORY, SYMLINK, CHARACTER, BLOCK, FIFO, HARD] = [0, 1, 2, 3, 4, 5, 6];

type Words = Pick<TreeIndex, 'blobs' | 'targets' | 'devices'>;

/** How much an index has of everything; words and paths in bytes. */
interface Counts {
  readonly words: number;
  readonly paths: number;
  readonly entries: number;
  readonly files: number;
}

/** The parts of an index, each at a multiple of 8, and where the last one ends. */
function placesOf({ words, paths, entries, files }: Counts) {
  const pathsAt = HEADER + aligned(words);
  const numbersAt = pathsAt + aligned(paths);
  const sourcesAt = numbersAt + aligned(entries * NUMBERS * 4);
  const digestsAt = sourcesAt + (files + 1) * FIELDS * 8;
  return { pathsAt, numbersAt, sourcesAt, digestsAt, end: digestsAt + files * DIGEST };
}

function columnsOf(bytes: Buffer, counts: Counts) {
  const { pathsAt, numbersAt, sourcesAt, digestsAt, end } = placesOf(counts);
  const { buffer, byteOffset } = bytes;
  return {
    bytes,
    length: counts.entries,
    paths: bytes.subarray(pathsAt, pathsAt + counts.paths),
    numbers: new Uint32Array(buffer, byteOffset + numbersAt, counts.entries * NUMBERS),
    sources: new Float64Array(buffer, byteOffset + sourcesAt, (counts.files + 1) * FIELDS),
    digests: bytes.subarray(digestsAt, end),
  };
}

/** An index with words whose columns are still to be filled. */
function blankIndex(words: Words, counts: Omit<Counts, 'words'>): TreeIndex {
  const text = Buffer.from(JSON.stringify(words));
  const bytes = Buffer.alloc(placesOf({ words: text.length, ...counts }).end);
  bytes.write(MAGIC, 'latin1');
  for (const [n, value] of [text.length, counts.paths, counts.entries, counts.files].entries()) {
    bytes.writeDoubleLE(value, MAGIC.length + n * 8);
  }
  text.copy(bytes, HEADER);
  return { ...words, ...columnsOf(bytes, { words: text.length, ...counts }) };
}

/** The index that such bytes are of. Throws a SyntaxError on any that are of none. */
export function parseIndex(bytes: Buffer): TreeIndex {
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new SyntaxError('this is no index of a tree');
  const [words, paths, entries, files] = new Float64Array(bytes.buffer, bytes.byteOffset + MAGIC.length, 4);
  const { blobs, targets, devices } = JSON.parse(bytes.toString('utf8', HEADER, HEADER + words!)) as Words;
  const counts = { words: words!, paths: paths!, entries: entries!, files: files! };
  return { blobs, targets, devices, ...columnsOf(bytes, counts) };
}

/** The index of a tree. Throws the problem `number-out-of-range` on a mode, an owner or a time that no file system has room for. */
export function indexOf(tree: Tree): TreeIndex {
  const files = tree.filter(isFile);
  const text = tree.map(({ path }) => path).join('');
  const paths = Buffer.from(text);
  const lengthOf = paths.length === text.length ? (path: string) => path.length : Buffer.byteLength;
  const targets: string[] = [];
  const devices: [number, number][] = [];
  for (const entry of tree) {
    if (entry.type === 'symlink') targets.push(entry.target);
    else if ('major' in entry) devices.push([entry.major, entry.minor]);
  }
  const counts = { paths: paths.length, entries: tree.length, files: files.length };
  const index = blankIndex({ blobs: blobsIn(files), targets, devices }, counts);
  paths.copy(index.paths);
  const { numbers } = index;
  const nth = new Nth();
  let end = 0;
  for (let n = 0; n < tree.length; n++) {
    const entry = tree[n]!;
    const type = entry.type === 'file' && entry.hard ? HARD : TYPES.indexOf(entry.type);
    end += lengthOf(entry.path);
    const at = n * NUMBERS;
    numbers[at + TYPE] = type;
    numbers[at + MTIME] = NO_TIME;
    numbers[at + END] = end;
    numbers[at + NTH] = nth.next(type);
    setNumber(index, n, MODE, entry.mode);
    setNumber(index, n, UID, entry.uid);
    setNumber(index, n, GID, entry.gid);
    if (entry.mtime !== undefined) setNumber(index, n, MTIME, entry.mtime);
  }
  fillSources(index, files);
  return index;
}

/** What 32 bits with a sign can say, as in ext2's inodes: January 2038. */
export const LAST_TIME = 2 ** 31 - 1;
/** All bits of an owner's number say that there is none (chown(2)). */
const LAST_ID = 2 ** 32 - 2;
/** What numbers are called, and the last that there is of each. */
const LAST: Readonly<Record<number, readonly [what: string, last: number]>> = {
  [MODE]: ['mode', 0o7777],
  [UID]: ['owner', LAST_ID],
  [GID]: ['group', LAST_ID],
  [MTIME]: ['time', LAST_TIME],
};

/** Sets the mode, owner, group or time of an entry. Throws the problem `number-out-of-range`. */
export function setNumber(index: TreeIndex, n: number, which: number, value: number): void {
  const [what, last] = LAST[which]!;
  if (!Number.isInteger(value) || value < 0 || value > last) {
    throw numberOutOfRange(pathOf(index, n), what, value, last);
  }
  index.numbers[n * NUMBERS + which] = value;
}

/** Whether a type is one of the two of files. */
export function isFileType(type: number): boolean {
  return type === FILE || type === HARD;
}

/** Counts files, links and devices, each for themselves. */
class Nth {
  #files = 0;
  #links = 0;
  #devices = 0;

  next(type: number): number {
    if (isFileType(type)) return this.#files++;
    if (type === SYMLINK) return this.#links++;
    return type === CHARACTER || type === BLOCK ? this.#devices++ : 0;
  }
}

/** Entries of an index, from one up to another. */
export interface Span {
  readonly index: TreeIndex;
  readonly from: number;
  readonly to: number;
}

/** The index of the tree that some spans are together; they are to be in its order. */
export function joined(spans: readonly Span[]): TreeIndex {
  const targets: string[] = [];
  const devices: (readonly [number, number])[] = [];
  const used = new Map<TreeIndex, Uint8Array>();
  let [paths, entries, files] = [0, 0, 0];
  for (const { index, from, to } of spans) {
    const { numbers, sources, blobs } = index;
    const marks = used.get(index) ?? new Uint8Array(blobs.length);
    used.set(index, marks);
    paths += endOf(index, to - 1) - endOf(index, from - 1);
    entries += to - from;
    for (let at = from * NUMBERS; at < to * NUMBERS; at += NUMBERS) {
      const type = numbers[at + TYPE]!;
      const nth = numbers[at + NTH]!;
      if (isFileType(type)) {
        files++;
        marks[sources[nth * FIELDS + BLOB]!] = 1;
      } else if (type === SYMLINK) targets.push(index.targets[nth]!);
      else if (type === CHARACTER || type === BLOCK) devices.push(index.devices[nth]!);
    }
  }
  const blobs = [...new Set([...used].flatMap(([index, marks]) => index.blobs.filter((_, n) => marks[n])))].sort();
  const whole = blankIndex({ blobs, targets, devices }, { paths, entries, files });
  const numberOf = new Map(blobs.map((blob, n) => [blob, n]));
  const renumbered = new Map(
    [...used.keys()].map((index) => [index, index.blobs.map((blob) => numberOf.get(blob) ?? -1)]),
  );
  const nth = new Nth();
  let [entry, path, file] = [0, 0, 0];
  for (const { index, from, to } of spans) {
    const { numbers, sources } = index;
    const start = endOf(index, from - 1);
    index.paths.copy(whole.paths, path, start, endOf(index, to - 1));
    whole.numbers.set(numbers.subarray(from * NUMBERS, to * NUMBERS), entry * NUMBERS);
    const blob = renumbered.get(index)!;
    // The files of a span follow each other in their columns too.
    let first = -1;
    let count = 0;
    for (let n = from; n < to; n++, entry++) {
      const type = numbers[n * NUMBERS + TYPE]!;
      whole.numbers[entry * NUMBERS + END]! += path - start;
      whole.numbers[entry * NUMBERS + NTH] = nth.next(type);
      if (!isFileType(type)) continue;
      if (first < 0) first = numbers[n * NUMBERS + NTH]!;
      count++;
    }
    if (count > 0) {
      whole.sources.set(sources.subarray(first * FIELDS, (first + count) * FIELDS), file * FIELDS);
      for (let n = file; n < file + count; n++) {
        whole.sources[n * FIELDS + BLOB] = blob[whole.sources[n * FIELDS + BLOB]!]!;
      }
      index.digests.copy(whole.digests, file * DIGEST, first * DIGEST, (first + count) * DIGEST);
      file += count;
    }
    path += endOf(index, to - 1) - start;
  }
  return whole;
}

/** Where the path of an entry ends among all paths; of the one before the first, 0. */
export function endOf({ numbers }: TreeIndex, n: number): number {
  return n < 0 ? 0 : numbers[n * NUMBERS + END]!;
}

/** The path of an entry. */
export function pathOf(index: TreeIndex, n: number): string {
  return index.paths.toString('utf8', endOf(index, n - 1), endOf(index, n));
}

/** The first entry from `from` on whose path is not before another; it is the sooner found the nearer it is. */
export function lowerBound(index: TreeIndex, path: string, from = 0): number {
  let step = 1;
  let low = from;
  while (low + step <= index.length && pathOf(index, low + step - 1) < path) {
    low += step;
    step *= 2;
  }
  let high = Math.min(index.length, low + step - 1);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pathOf(index, middle) < path) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entry with a path; undefined if there is none. */
export function find(index: TreeIndex, path: string): number | undefined {
  const n = lowerBound(index, path);
  return n < index.length && pathOf(index, n) === path ? n : undefined;
}

/** Of files with several names, which entry has the first one; asked of each in their order. */
export class FirstNames {
  readonly #index: TreeIndex;
  readonly #known = new Map<string, number>();

  constructor(index: TreeIndex) {
    this.#index = index;
  }

  of(n: number): number {
    const { numbers, sources } = this.#index;
    // Names of one file have one place, as inodeOf has it.
    const at = numbers[n * NUMBERS + NTH]! * FIELDS;
    const slice = `${sources[at + BLOB]}:${sources[at + OFFSET]}`;
    const first = this.#known.get(slice) ?? n;
    if (first === n) this.#known.set(slice, n);
    return first;
  }
}

/** Bytes in all files together, each inode once. */
export function contentSize(index: TreeIndex): number {
  const { numbers, sources, length } = index;
  const firsts = new FirstNames(index);
  let size = 0;
  for (let n = 0; n < length; n++) {
    const at = n * NUMBERS;
    const type = numbers[at + TYPE]!;
    if (type === FILE || (type === HARD && firsts.of(n) === n)) size += sources[numbers[at + NTH]! * FIELDS + SIZE]!;
  }
  return size;
}

/** The latest time that anything has; 0 if nothing has any. */
export function newestTime({ numbers }: TreeIndex): number {
  let newest = 0;
  for (let at = MTIME; at < numbers.length; at += NUMBERS) {
    const time = numbers[at]!;
    if (time > newest && time !== NO_TIME) newest = time;
  }
  return newest;
}

/** Where entries are, and what they are called there. */
export interface Homes {
  /** Of each entry, which one is the directory that it is in; -1 for the root, and where there is none. */
  readonly parents: Int32Array;
  /** Where its name begins among the paths; it ends where its path does. */
  readonly names: Int32Array;
}

/** What was found, for whoever asks next: what composes a tree, then what lays it out. */
const HOMES = new WeakMap<TreeIndex, Homes>();

/** Where the entries of an index are. */
export function homesOf(index: TreeIndex): Homes {
  const homes = HOMES.get(index) ?? findHomes(index);
  HOMES.set(index, homes);
  return homes;
}

function findHomes({ paths, numbers, length }: TreeIndex): Homes {
  const parents = new Int32Array(length).fill(-1);
  const names = new Int32Array(length);
  const directories = new Map<string, number>();
  let start = 0;
  // The directory of the entry before, in which most entries are too.
  let known = -1;
  let knownStart = 0;
  let knownLength = 0;
  for (let n = 0; n < length; n++) {
    const end = numbers[n * NUMBERS + END]!;
    let name = end;
    while (name > start && paths[name - 1] !== SLASH) name--;
    names[n] = name;
    const parentLength = Math.max(0, name - 1 - start);
    // From the end on, where paths differ.
    let same = parentLength === knownLength ? parentLength : -1;
    while (same > 0 && paths[start + same - 1] === paths[knownStart + same - 1]) same--;
    if (end > start) {
      if (known < 0 || same !== 0) {
        known = directories.get(paths.toString('utf8', start, start + parentLength)) ?? -1;
        knownStart = start;
        knownLength = parentLength;
      }
      parents[n] = known;
    }
    if (numbers[n * NUMBERS + TYPE] === DIRECTORY) directories.set(paths.toString('utf8', start, end), n);
    start = end;
  }
  return { parents, names };
}

const SLASH = 0x2f;

/** The entries of an index as objects. */
export function entriesOf(index: TreeIndex): Tree {
  const hex = index.digests.toString('hex');
  // Most are ASCII: then a place among the bytes is one in the text.
  const text = isAscii(index.paths) ? index.paths.toString('latin1') : undefined;
  let start = 0;
  return Array.from({ length: index.length }, (_, n) => {
    const end = endOf(index, n);
    const path = text?.slice(start, end) ?? index.paths.toString('utf8', start, end);
    start = end;
    return entryOf(index, n, path, hex);
  });
}

function entryOf(
  { numbers, blobs, sources, targets, devices }: TreeIndex,
  n: number,
  path: string,
  hex: string,
): Entry {
  const at = n * NUMBERS;
  const kind = numbers[at + TYPE]!;
  const type = TYPES[kind]!;
  const mode = numbers[at + MODE]!;
  const uid = numbers[at + UID]!;
  const gid = numbers[at + GID]!;
  const mtime = numbers[at + MTIME]!;
  const nth = numbers[at + NTH]!;
  if (kind === FILE && mtime !== NO_TIME) {
    // Most are such ones. An object that is made at once takes half the memory of one that others are spread into.
    return { path, mode, uid, gid, mtime, type: 'file', content: sliceOf(blobs, sources, hex, nth) };
  }
  const attributes = { path, mode, uid, gid, ...(mtime !== NO_TIME && { mtime }) };
  if (type === 'file') {
    const mark = kind === HARD && { hard: true as const };
    return { ...attributes, type, content: sliceOf(blobs, sources, hex, nth), ...mark };
  }
  if (type === 'symlink') return { ...attributes, type, target: targets[nth]! };
  if (type === 'directory' || type === 'fifo') return { ...attributes, type };
  const [major, minor] = devices[nth]!;
  return { ...attributes, type, major, minor };
}

/** The same number. One that comes from a column of doubles would be an object of its own, even if it is a small integer. */
function small(value: number): number {
  const integer = value | 0;
  return integer === value ? integer : value;
}

function sliceOf(blobs: readonly Digest[], sources: Float64Array, hex: string, n: number): Slice {
  const at = n * FIELDS;
  const blob = blobs[sources[at + BLOB]!]!;
  const offset = small(sources[at + OFFSET]!);
  const size = small(sources[at + SIZE]!);
  const digest = hex.slice(n * 2 * DIGEST, (n + 1) * 2 * DIGEST);
  const crc = small(sources[at + CRC]!);
  return crc === NO_CRC ? { blob, offset, size, digest } : { blob, offset, size, digest, crc };
}
