/** What a file system must tell so that it can be read, and what it is read from. */

/** Where an image comes from. Positions and lengths are in bytes; reading beyond the end throws. */
export interface BlockSource {
  readonly size: number;
  read(position: number, length: number): Buffer;
}

/** An inode as it stands on the disk. */
export interface DiskInode {
  readonly number: number;
  /** With the bits of the type. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** The 15 pointers; 0 is a hole. */
  readonly pointers: readonly number[];
  readonly device: { readonly major: number; readonly minor: number };
  /** The target of a symbolic link that is kept in the inode. */
  readonly target: string | undefined;
}

/** What differs between the file systems that can be read. */
export interface VolumeForm {
  /** For people: `ext2`, `FFSv2`. */
  readonly name: string;
  readonly blockSize: number;
  /** What pointers count, in bytes. */
  readonly unit: number;
  readonly pointerSize: 4 | 8;
  /** No directory entry crosses a multiple of this. */
  readonly chunk: number;
  /** The file system's size in units, which bounds every pointer. */
  readonly units: number;
  /** Bytes that are not used, as the superblock counts them. */
  readonly free: number;
  inode(number: number): DiskInode;
  /** The length of the name of the directory entry at `at`. */
  nameLength(directory: Buffer, at: number): number;
}

/** Thrown where an image contradicts itself, or is none. */
export class BrokenVolume extends Error {}
