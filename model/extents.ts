import type { Digest } from './artifact.ts';

/** What a disk is made of. Positions and lengths are in bytes. */

/** Where an image goes; what is never written reads as zeros. */
export interface BlockSink {
  /** Writes bytes and, up to `length`, zeros after them; has taken them when it returns. */
  write(position: number, bytes: Uint8Array, length?: number): void;
}

/** Where bytes come from. In columns, since there are as many sources as a system has files. */
export interface Sources {
  readonly blobs: readonly Digest[];
  /** Bytes that are in no blob: tables, directories. */
  readonly own: Buffer;
  /** Of each source five numbers: which of the blobs, or -1 for `own`; offset; size; CRC-32, or -1; its first extent. Then one more. */
  readonly sources: Float64Array;
  /** SHA-256 of each source, 32 bytes; zeros for own bytes. */
  readonly digests: Buffer;
}

/** A tree in columns, as it is stored; the sources are the contents of its files. */
export interface TreeIndex extends Omit<Sources, 'own'> {
  /** All of it. */
  readonly bytes: Buffer;
  /** How many entries there are. */
  readonly length: number;
  /** The paths one after the other, in UTF-8. */
  readonly paths: Buffer;
  /** Of each entry seven numbers, which formats/treeindex.ts names. */
  readonly numbers: Uint32Array;
  /** Of the symbolic links, in their order. */
  readonly targets: readonly string[];
  /** Of the devices, in their order. */
  readonly devices: readonly (readonly [major: number, minor: number])[];
}

/** What lies where on a disk: the bytes of each source fill extents, one after the other; what is left of the last one is zeros. */
export interface ExtentMap extends Sources {
  /** Of the disk. */
  readonly size: number;
  /** Of each extent: position and length. */
  readonly extents: Float64Array;
}

/** So many bytes of a source, from its byte `from` on; valid until the next ones. */
export interface Piece {
  /** Which of the sources. */
  readonly index: number;
  readonly from: number;
  readonly bytes: Uint8Array;
}
