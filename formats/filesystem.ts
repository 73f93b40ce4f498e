import type { Tree } from '../model/artifact.ts';
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
