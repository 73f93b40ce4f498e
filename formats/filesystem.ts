import type { Entry, Tree } from '../model/artifact.ts';
import type { BlockForm, Contents } from './filewriter.ts';
import type { Inode } from './inodes.ts';
import type { BlockSink } from './sink.ts';

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
  /** Writes the file system, from front to back. What is empty is not written. */
  write(identity: Identity, contents: Contents, sink: BlockSink): Promise<void>;
}

/** Finds room for a tree (with all parent directories) in so many bytes; undefined if it does not fit. */
export type FileSystem = (tree: Tree, size: number) => Layout | undefined;

/** The smallest number of bytes, in whole MiB, that a tree needs; the file system's own tables included. */
export function smallestSize(fileSystem: FileSystem, tree: Tree): number {
  const fits = (mib: number) => fileSystem(tree, mib * 1024 ** 2) !== undefined;
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

/** The entry whose contents a byte of the file system belongs to; undefined if it is of the tables, or of no file. */
export function ownerOf({ form, inodes }: Layout, position: number): Entry | undefined {
  const holds = (block: number, bytes: number) => position >= block * form.unit && position < block * form.unit + bytes;
  const owns = ({ data, indirect, size }: Inode) =>
    indirect.some(({ block }) => holds(block, form.blockSize)) ||
    data.some((block, n) => holds(block, Math.min(form.blockSize, size - n * form.blockSize)));
  return inodes.find(owns)?.entry;
}
