/** What steps make. Digests are SHA-256 in lower-case hex, sizes are in bytes. */

export type Digest = string;

/** Bytes in the store. */
export interface Blob {
  readonly kind: 'blob';
  readonly digest: Digest;
  readonly size: number;
}

/** A file system tree as data: `digest` is that of its index, a blob in the store. */
export interface TreeArtifact {
  readonly kind: 'tree';
  readonly digest: Digest;
  readonly size: number;
  /** The blobs that hold the contents of its files. */
  readonly blobs: readonly Digest[];
  readonly entries: number;
}

/**
 * A file outside the store: too large to keep twice, cheap to make again. `file` is its name in the step's scratch
 * directory; `digest` stands for its bytes, and may be another than their SHA-256.
 */
export interface Publication {
  readonly kind: 'publication';
  readonly digest: Digest;
  readonly size: number;
  readonly file: string;
}

export type Artifact = Blob | TreeArtifact | Publication;

/** The blobs of the store that an artifact needs. */
export function blobsOf(artifact: Artifact): Digest[] {
  if (artifact.kind === 'publication') return [];
  return artifact.kind === 'blob' ? [artifact.digest] : [artifact.digest, ...artifact.blobs];
}

/** The blobs that hold the contents of a tree's files, in their order. */
export function blobsIn(tree: Tree): Digest[] {
  const blobs = new Set<Digest>();
  for (const entry of tree) if (entry.type === 'file') blobs.add(entry.content.blob);
  return [...blobs].sort();
}

/** Where the contents of a file lie: `size` bytes from `offset` of the blob. `digest` is that of these bytes alone. */
export interface Slice {
  readonly blob: Digest;
  readonly offset: number;
  readonly size: number;
  readonly digest: Digest;
  /** The CRC-32 of these bytes, where it was taken when they came. It finds what rot does to them in a third of the time. */
  readonly crc?: number | undefined;
}

interface Attributes {
  /** Relative to the root, parts joined by `/`; the root itself is the empty string. */
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. Entries that come from no archive have none: they get the source date when layers are composed. */
  readonly mtime?: number | undefined;
}

export interface FileEntry extends Attributes {
  readonly type: 'file';
  readonly content: Slice;
  /** Several names of one inode: files of a tree with this mark and the same slice are one file. */
  readonly hard?: true | undefined;
}
export interface DirectoryEntry extends Attributes {
  readonly type: 'directory';
}
export interface LinkEntry extends Attributes {
  readonly type: 'symlink';
  readonly target: string;
}
export interface DeviceEntry extends Attributes {
  readonly type: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}
export interface FifoEntry extends Attributes {
  readonly type: 'fifo';
}

export type Entry = FileEntry | DirectoryEntry | LinkEntry | DeviceEntry | FifoEntry;

/** Entries in the code-unit order of their paths, no path twice. */
export type Tree = readonly Entry[];
