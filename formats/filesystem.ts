import type { TreeIndex } from '../model/extents.ts';
import type { BlockMaps } from './blocks.ts';
import type { Inodes } from './inodes.ts';

/** What tells one file system from another of the same contents. */
export interface Identity {
  readonly uuid: Buffer;
  /** At most 16 bytes. */
  readonly label: string;
  /** Seconds since 1970, for the superblock and for entries without a time of their own. */
  readonly time: number;
}

/** How a file system divides its contents; sizes in bytes. */
export interface BlockForm {
  readonly blockSize: number;
  /** What numbers of blocks count. */
  readonly unit: number;
  readonly pointerSize: 4 | 8;
}

/** What is on a disk but no contents. */
export interface Table {
  readonly position: number;
  /** Bytes. */
  readonly size: number;
  /** Writes it into as many zeros, at a multiple of 8. */
  write(bytes: Buffer): void;
}

/** Bytes as a table. */
export function tableOf(position: number, bytes: Buffer): Table {
  return { position, size: bytes.length, write: (to) => to.set(bytes) };
}

/** A tree for which room was found. Nothing of any file has been read. */
export interface Layout {
  readonly form: BlockForm;
  readonly inodes: Inodes;
  readonly maps: BlockMaps;
  /** Bytes that are left for contents. */
  readonly free: number;
  /** All but the contents of inodes: superblocks, maps, tables of inodes. */
  tables(identity: Identity): Iterable<Table>;
}

/** Finds room for a tree (with all parent directories) in so many bytes; undefined if it does not fit. */
export type FileSystem = (tree: TreeIndex, size: number) => Layout | undefined;
