import { isAscii } from 'node:buffer';
import type { Digest, Entry, LinkEntry, Slice, Tree } from '../model/artifact.ts';
import { isFile } from './tree.ts';

/**
 * Trees as bytes: JSON, a member for each attribute with that of all entries. An object for each entry would take three
 * times the bytes and the time, most of them for the names of attributes.
 */
interface Index {
  readonly smol: 'tree';
  readonly version: 2;
  readonly paths: readonly string[];
  /** A letter for each entry, as in the first column of ls(1). */
  readonly types: string;
  readonly modes: readonly number[];
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly mtimes: readonly (number | null)[];
  /** Of each symbolic link. */
  readonly targets: readonly string[];
  /** Of each device: major and minor number. */
  readonly devices: readonly (readonly [number, number])[];
  readonly blobs: readonly Digest[];
  /** Of each file, as those that follow: which of the blobs. */
  readonly contents: readonly number[];
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  /** All in one. */
  readonly digests: string;
  readonly crcs: readonly (number | null)[];
  /** Which of the files have the mark. */
  readonly hard: readonly number[];
}

const LETTERS: Readonly<Record<Entry['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  character: 'c',
  block: 'b',
  fifo: 'p',
};
const TYPES = new Map(Object.entries(LETTERS).map(([type, letter]) => [letter, type as Entry['type']]));
const DIGEST = 64;

/** The bytes of a tree. */
export function indexOf(tree: Tree): Buffer {
  const files = tree.filter(isFile);
  const blobs = new Map<Digest, number>();
  for (const { content } of files) if (!blobs.has(content.blob)) blobs.set(content.blob, blobs.size);
  const index: Index = {
    smol: 'tree',
    version: 2,
    paths: tree.map(({ path }) => path),
    types: tree.map(({ type }) => LETTERS[type]).join(''),
    modes: tree.map(({ mode }) => mode),
    uids: tree.map(({ uid }) => uid),
    gids: tree.map(({ gid }) => gid),
    mtimes: tree.map(({ mtime }) => mtime ?? null),
    targets: tree.filter((entry) => entry.type === 'symlink').map((entry) => (entry as LinkEntry).target),
    devices: tree.flatMap((entry) => ('major' in entry ? [[entry.major, entry.minor] as const] : [])),
    blobs: [...blobs.keys()],
    contents: files.map(({ content }) => blobs.get(content.blob)!),
    offsets: files.map(({ content }) => content.offset),
    sizes: files.map(({ content }) => content.size),
    digests: files.map(({ content }) => content.digest).join(''),
    crcs: files.map(({ content }) => content.crc ?? null),
    hard: files.flatMap(({ hard }, n) => (hard ? [n] : [])),
  };
  return Buffer.from(JSON.stringify(index));
}

/** The tree that such bytes are of. Throws a SyntaxError on any that are of none. */
export function parseIndex(bytes: Buffer): Tree {
  // Most are ASCII, which takes a fraction of the time to read.
  const index = JSON.parse(bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')) as Index;
  if (index?.smol !== 'tree' || index.version !== 2) throw new SyntaxError('this is no index of a tree');
  const { paths, types, modes, uids, gids, mtimes, targets, devices } = index;
  const hard = new Set(index.hard);
  let [file, link, device] = [0, 0, 0];
  return paths.map((path, n): Entry => {
    const type = TYPES.get(types[n]!)!;
    const mode = modes[n]!;
    const uid = uids[n]!;
    const gid = gids[n]!;
    const mtime = mtimes[n]!;
    if (type === 'file' && mtime !== null && !hard.has(file)) {
      // Most are such ones. An object that is made at once takes half the memory of one that others are spread into.
      return { path, mode, uid, gid, mtime, type, content: sliceOf(index, file++) };
    }
    const attributes = { path, mode, uid, gid, ...(mtime !== null && { mtime }) };
    if (type === 'file') {
      const mark = hard.has(file) && { hard: true as const };
      return { ...attributes, type, content: sliceOf(index, file++), ...mark };
    }
    if (type === 'symlink') return { ...attributes, type, target: targets[link++]! };
    if (type === 'directory' || type === 'fifo') return { ...attributes, type };
    const [major, minor] = devices[device++]!;
    return { ...attributes, type, major, minor };
  });
}

function sliceOf({ blobs, contents, offsets, sizes, digests, crcs }: Index, n: number): Slice {
  const blob = blobs[contents[n]!]!;
  const offset = offsets[n]!;
  const size = sizes[n]!;
  const digest = digests.slice(n * DIGEST, (n + 1) * DIGEST);
  const crc = crcs[n]!;
  return crc === null ? { blob, offset, size, digest } : { blob, offset, size, digest, crc };
}
