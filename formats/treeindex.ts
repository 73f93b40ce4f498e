import { isAscii } from 'node:buffer';
import { blobsIn, type Digest, type Entry, type LinkEntry, type Slice, type Tree } from '../model/artifact.ts';
import type { Sources } from '../model/extents.ts';
import { BLOB, CRC, DIGEST, FIELDS, fillSources, NO_CRC, OFFSET, SIZE } from './extentmap.ts';
import { isFile } from './tree.ts';

/**
 * Trees as bytes: words as JSON, numbers and digests in columns, little-endian as those of every host are. JSON for each
 * entry would take three times the bytes and more of the time, most of them for the names of attributes.
 */

const MAGIC = 'smoltre2';
/** The magic, and how many bytes of words there are. */
const HEADER = 16;
/** The numbers of an entry; one without a time has NO_TIME. */
const NUMBERS = 5;
const [TYPE, MODE, UID, GID, MTIME] = [0, 1, 2, 3, 4];
const NO_TIME = -1;
/** In the order of the numbers that stand for them. */
const TYPES: readonly Entry['type'][] = ['file', 'directory', 'symlink', 'character', 'block', 'fifo'];

interface Words {
  readonly paths: readonly string[];
  readonly blobs: readonly Digest[];
  /** How many files there are, and which of them have the mark. */
  readonly files: number;
  readonly hard: readonly number[];
  /** Of each symbolic link. */
  readonly targets: readonly string[];
  /** Of each device: major and minor number. */
  readonly devices: readonly (readonly [number, number])[];
}

/** Where the columns of an index begin in its bytes, each at a multiple of 8, and where the last one ends. */
function placesOf(words: number, entries: number, files: number) {
  const numbersAt = HEADER + Math.ceil(words / 8) * 8;
  const sourcesAt = numbersAt + entries * NUMBERS * 8;
  const digestsAt = sourcesAt + (files + 1) * FIELDS * 8;
  return { numbersAt, sourcesAt, digestsAt, end: digestsAt + files * DIGEST };
}

function columnsOf(bytes: Buffer, words: number, entries: number, files: number) {
  const { numbersAt, sourcesAt, digestsAt, end } = placesOf(words, entries, files);
  return {
    numbers: new Float64Array(bytes.buffer, bytes.byteOffset + numbersAt, entries * NUMBERS),
    sources: new Float64Array(bytes.buffer, bytes.byteOffset + sourcesAt, (files + 1) * FIELDS),
    digests: bytes.subarray(digestsAt, end),
  };
}

/** The bytes of a tree. */
export function indexOf(tree: Tree): Buffer {
  const files = tree.filter(isFile);
  const blobs = blobsIn(files);
  const text: Words = {
    paths: tree.map(({ path }) => path),
    blobs,
    files: files.length,
    hard: files.flatMap(({ hard }, n) => (hard ? [n] : [])),
    targets: tree.filter((entry) => entry.type === 'symlink').map((entry) => (entry as LinkEntry).target),
    devices: tree.flatMap((entry) => ('major' in entry ? [[entry.major, entry.minor] as const] : [])),
  };
  const words = Buffer.from(JSON.stringify(text));
  const bytes = Buffer.alloc(placesOf(words.length, tree.length, files.length).end);
  bytes.write(MAGIC, 'latin1');
  bytes.writeDoubleLE(words.length, MAGIC.length);
  words.copy(bytes, HEADER);
  const { numbers, sources, digests } = columnsOf(bytes, words.length, tree.length, files.length);
  for (let n = 0; n < tree.length; n++) {
    const { type, mode, uid, gid, mtime = NO_TIME } = tree[n]!;
    const at = n * NUMBERS;
    numbers[at + TYPE] = TYPES.indexOf(type);
    numbers[at + MODE] = mode;
    numbers[at + UID] = uid;
    numbers[at + GID] = gid;
    numbers[at + MTIME] = mtime;
  }
  fillSources({ blobs, sources, digests }, files);
  return bytes;
}

/** The tree that such bytes are of. Throws a SyntaxError on any that are of none. */
export function parseIndex(bytes: Buffer): Tree {
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new SyntaxError('this is no index of a tree');
  const length = bytes.readDoubleLE(MAGIC.length);
  const text = bytes.subarray(HEADER, HEADER + length);
  // Most are ASCII, which takes a fraction of the time to read.
  const words = JSON.parse(text.toString(isAscii(text) ? 'latin1' : 'utf8')) as Words;
  const { paths, blobs, files, targets, devices } = words;
  const { numbers, sources, digests } = columnsOf(bytes, length, paths.length, files);
  const hex = digests.toString('hex');
  const hard = new Set(words.hard);
  let file = 0;
  let link = 0;
  let device = 0;
  return paths.map((path, n): Entry => {
    const at = n * NUMBERS;
    const type = TYPES[numbers[at + TYPE]!]!;
    const mode = small(numbers[at + MODE]!);
    const uid = small(numbers[at + UID]!);
    const gid = small(numbers[at + GID]!);
    const mtime = small(numbers[at + MTIME]!);
    if (type === 'file' && mtime !== NO_TIME && !hard.has(file)) {
      // Most are such ones. An object that is made at once takes half the memory of one that others are spread into.
      return { path, mode, uid, gid, mtime, type, content: sliceOf(blobs, sources, hex, file++) };
    }
    const attributes = { path, mode, uid, gid, ...(mtime !== NO_TIME && { mtime }) };
    if (type === 'file') {
      const mark = hard.has(file) && { hard: true as const };
      return { ...attributes, type, content: sliceOf(blobs, sources, hex, file++), ...mark };
    }
    if (type === 'symlink') return { ...attributes, type, target: targets[link++]! };
    if (type === 'directory' || type === 'fifo') return { ...attributes, type };
    const [major, minor] = devices[device++]!;
    return { ...attributes, type, major, minor };
  });
}

/** The same number. One that comes from a column of doubles would be an object of its own, even if it is a small integer. */
function small(value: number): number {
  const integer = value | 0;
  return integer === value ? integer : value;
}

function sliceOf(blobs: readonly Digest[], sources: Sources['sources'], hex: string, n: number): Slice {
  const at = n * FIELDS;
  const blob = blobs[sources[at + BLOB]!]!;
  const offset = small(sources[at + OFFSET]!);
  const size = small(sources[at + SIZE]!);
  const digest = hex.slice(n * 2 * DIGEST, (n + 1) * 2 * DIGEST);
  const crc = small(sources[at + CRC]!);
  return crc === NO_CRC ? { blob, offset, size, digest } : { blob, offset, size, digest, crc };
}
