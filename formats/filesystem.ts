import type { Entry, Tree } from '../model/artifact.ts';
import type { BlockForm, Inode } from './inodes.ts';
import type { Extent } from './sink.ts';

/** What tells one file system from another of the same contents. */
export interface Identity {
  readonly uuid: Buffer;
  /** At most 16 bytes. */
  readonly label: string;
  /** Seconds since 1970, for the superblock and for entries without a time of their own. */
  readonly time: number;
}

/** A tree for which room was found. Nothing of any file has been read. */
export interface Layout {
  readonly form: BlockForm;
  /** In the order of their numbers, the root first. */
  readonly inodes: readonly Inode[];
  /** Bytes that are left for contents. */
  readonly free: number;
  /** All but the contents of inodes: superblocks, maps, tables of inodes. */
  tables(identity: Identity): Iterable<Extent>;
  /** The same with other inodes, at the same places. */
  withInodes(inodes: readonly Inode[]): Layout;
}

/** Finds room for a tree (with all parent directories) in so many bytes; undefined if it does not fit. */
export type FileSystem = (tree: Tree, size: number) => Layout | undefined;

/** A run of bytes, from its first byte to the one after its last. */
export type Range = readonly [from: number, to: number];

/** Where the contents of an inode lie, in runs, as they are written: the last block up to the end of its last unit. */
export function* rangesOf({ data, indirect, size }: Inode, { blockSize, unit }: BlockForm): Generator<Range> {
  for (const { block } of indirect) yield [block * unit, block * unit + blockSize];
  const step = blockSize / unit;
  for (let n = 0; n < data.length; ) {
    const first = data[n]!;
    let run = 1;
    while (data[n + run] === first + run * step) run++;
    const length = Math.min(run * blockSize, size - n * blockSize);
    yield [first * unit, first * unit + Math.ceil(length / unit) * unit];
    n += run;
  }
}

/**
 * The layout of a tree that differs from one that is laid out only in what its entries are and hold, not in which there are
 * and how much room they take; undefined if it differs in more. Most changes are such ones, and this is soon done.
 */
export function relaidOut(layout: Layout, laid: Tree, tree: Tree): Layout | undefined {
  if (laid.length !== tree.length) return undefined;
  const others = new Map<Entry, Entry>();
  for (const [n, entry] of tree.entries()) {
    if (entry === laid[n]) continue;
    if (!takesSameRoom(entry, laid[n]!, layout.form)) return undefined;
    others.set(laid[n]!, entry);
  }
  return layout.withInodes(
    layout.inodes.map((inode) => {
      const entry = others.get(inode.entry);
      return entry === undefined
        ? inode
        : { ...inode, entry, size: entry.type === 'file' ? entry.content.size : inode.size };
    }),
  );
}

/** Whether two entries get the same inode, and blocks for their contents at the same places. */
function takesSameRoom(a: Entry, b: Entry, { unit }: BlockForm): boolean {
  if (a.path !== b.path || a.type !== b.type) return false;
  if (a.type === 'symlink' && b.type === 'symlink') return a.target === b.target;
  if (a.type !== 'file' || b.type !== 'file') return true;
  const units = [a, b].map(({ content }) => Math.ceil(content.size / unit));
  return !a.hard && !b.hard && units[0] === units[1];
}
