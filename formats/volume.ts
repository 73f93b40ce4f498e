import { createHash } from 'node:crypto';
import type { Digest, Entry, FileEntry, Tree } from '../model/artifact.ts';
import { DIRECT } from './blocks.ts';
import { openExt2 } from './ext2/read.ts';
import { openFfs } from './ffs/read.ts';
import { readPartitions } from './gpt.ts';
import { ROOT_INODE, TYPE_BITS } from './inodes.ts';
import { byPath } from './tree.ts';
import { type BlockSource, BrokenVolume, type DiskInode, type VolumeForm } from './volumeform.ts';

/** Images read back: those of smol, of makefs(8), mke2fs(8) and of NetBSD itself. Nothing in them is trusted. */

/** An entry of a volume: as in a tree, but for the contents of files. */
export type VolumeEntry = (Exclude<Entry, FileEntry> | Omit<FileEntry, 'content' | 'hard'>) & {
  readonly inode: number;
  /** Bytes. */
  readonly size: number;
  readonly links: number;
};

const TYPES = new Map(Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as Entry['type']]));
/** More than this is read piece by piece. */
const PIECE = 4 * 1024 * 1024;
const LARGEST_DIRECTORY = 256 * 1024 * 1024;
const LONGEST_TARGET = 64 * 1024;

/** A file system in an image. */
export class Volume {
  readonly form: VolumeForm;
  /** The name of its partition; undefined if it is the whole image. */
  readonly partition: string | undefined;
  readonly #source: BlockSource;

  /** The first file system that an image has, in a partition of its GPT or MBR or as all of it. Throws `BrokenVolume`. */
  static open(source: BlockSource): Volume {
    for (const { start, size, name } of [...readPartitions(source), { start: 0, size: source.size, name: undefined }]) {
      if (start < 0 || size <= 0 || start + size > source.size) continue;
      const part: BlockSource = { size, read: (position, length) => readWithin(source, start, size, position, length) };
      const form = openExt2(part) ?? openFfs(part);
      if (form !== undefined) return new Volume(part, form, name);
    }
    throw new BrokenVolume('it holds no file system that smol can read: ext2, ext3 or FFS');
  }

  private constructor(source: BlockSource, form: VolumeForm, partition: string | undefined) {
    this.#source = source;
    this.form = form;
    this.partition = partition;
  }

  /** Everything below the root, and the root itself, in the order of the paths. Throws `BrokenVolume`. */
  entries(): VolumeEntry[] {
    const found: VolumeEntry[] = [this.#entry('', ROOT_INODE)];
    const parents = new Map<number, string>([[ROOT_INODE, '']]);
    for (const [directory, path] of parents) {
      for (const { name, inode } of this.#names(directory, path)) {
        if (name === '.' || name === '..') continue;
        const entry = this.#entry(path === '' ? name : `${path}/${name}`, inode);
        found.push(entry);
        if (entry.type !== 'directory') continue;
        const other = parents.get(inode);
        if (other !== undefined) throw new BrokenVolume(`the directories /${other} and /${entry.path} are one`);
        parents.set(inode, entry.path);
      }
    }
    return found.sort(byPath);
  }

  /** The contents of a file, in pieces that are valid until the next one. */
  *pieces({ inode: number }: Pick<VolumeEntry, 'inode'>): Generator<Buffer> {
    yield* this.#content(this.form.inode(number));
  }

  /** The whole contents of a file. */
  contents({ inode: number }: Pick<VolumeEntry, 'inode'>): Buffer {
    return this.#whole(this.form.inode(number));
  }

  /** The volume as a tree, each file read for its digest. `entries` are all that it has, where they are at hand. */
  tree(entries: readonly VolumeEntry[] = this.entries()): Tree {
    const digests = new Map<number, Digest>();
    return entries.map(({ inode, size, links, ...entry }): Entry => {
      if (entry.type !== 'file') return entry;
      const digest = digests.get(inode) ?? digestOf(this.pieces({ inode }));
      digests.set(inode, digest);
      const content = { blob: `inode ${inode}`, offset: 0, size, digest };
      return { ...entry, content, ...(links > 1 && { hard: true as const }) };
    });
  }

  /** What contradicts itself: blocks with two owners, links that were miscounted, directories that name the wrong parent. */
  complaints(entries: readonly VolumeEntry[] = this.entries()): string[] {
    const wrong: string[] = [];
    const owners = new Map<number, string>();
    const names = new Map<number, number>([[ROOT_INODE, 1]]);
    const seen = new Set<number>();
    const parents = new Map<string, number>([['', ROOT_INODE]]);
    for (const entry of entries) {
      const { path, inode: number, type, links } = entry;
      if (path !== '') names.set(number, (names.get(number) ?? 0) + 1);
      if (type === 'directory') parents.set(path, number);
      if (seen.has(number)) continue;
      seen.add(number);
      for (const block of this.#blocks(this.form.inode(number))) {
        const other = owners.get(block);
        if (other !== undefined && block !== 0) wrong.push(`block ${block} belongs to /${other} and to /${path}`);
        owners.set(block, path);
      }
      if (type !== 'directory') continue;
      const listed = this.#names(number, path);
      const up = parents.get(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
      if (listed.find(({ name }) => name === '.')?.inode !== number) wrong.push(`/${path}/. is another directory`);
      if (listed.find(({ name }) => name === '..')?.inode !== up) wrong.push(`/${path}/.. is another directory`);
      const subdirectories = listed.filter(
        ({ name, inode }) => name !== '.' && name !== '..' && this.#type(this.form.inode(inode)) === 'directory',
      ).length;
      if (links !== 2 + subdirectories) wrong.push(`/${path} counts ${links} links, not ${2 + subdirectories}`);
    }
    for (const { path, inode, type, links } of entries) {
      if (type !== 'directory' && names.get(inode) !== links) {
        wrong.push(`/${path} counts ${links} links, not ${names.get(inode)}`);
      }
    }
    return wrong;
  }

  #entry(path: string, number: number): VolumeEntry {
    const inode = this.form.inode(number);
    const type = this.#type(inode);
    if (type === undefined) throw new BrokenVolume(`/${path} is of no type`);
    const { uid, gid, mtime, size, links, device } = inode;
    const all = { path, mode: inode.mode & 0o7777, uid, gid, mtime, inode: number, size, links };
    if (type === 'symlink') return { ...all, type, target: this.#target(inode, path) };
    return type === 'character' || type === 'block' ? { ...all, type, ...device } : { ...all, type };
  }

  #type({ mode }: DiskInode): Entry['type'] | undefined {
    return TYPES.get(mode & 0o170000);
  }

  #target(inode: DiskInode, path: string): string {
    if (inode.target !== undefined) return inode.target;
    if (inode.size > LONGEST_TARGET) throw new BrokenVolume(`/${path} is a link of ${inode.size} bytes`);
    return this.#whole(inode).toString('utf8');
  }

  #names(number: number, path: string): { name: string; inode: number }[] {
    const inode = this.form.inode(number);
    if (inode.size > LARGEST_DIRECTORY) throw new BrokenVolume(`the directory /${path} has ${inode.size} bytes`);
    const bytes = this.#whole(inode);
    const found: { name: string; inode: number }[] = [];
    for (let at = 0; at + 8 <= bytes.length; ) {
      const length = bytes.readUInt16LE(at + 4);
      const end = Math.min(bytes.length, at - (at % this.form.chunk) + this.form.chunk);
      const nameLength = this.form.nameLength(bytes, at);
      if (length < 8 || at + length > end || 8 + nameLength > length) {
        throw new BrokenVolume(`the directory /${path} has a bad entry at byte ${at}`);
      }
      const child = bytes.readUInt32LE(at);
      const name = bytes.toString('utf8', at + 8, at + 8 + nameLength);
      if (child !== 0 && (name === '' || name.includes('/') || name.includes('\0'))) {
        throw new BrokenVolume(`the directory /${path} has the name ${JSON.stringify(name)}`);
      }
      if (child !== 0) found.push({ name, inode: child });
      at += length;
    }
    return found;
  }

  #whole(inode: DiskInode): Buffer {
    return Buffer.concat([...this.#content(inode)].map((piece) => Buffer.from(piece)));
  }

  *#content(inode: DiskInode): Generator<Buffer> {
    if (inode.target !== undefined) return;
    const { blockSize, unit } = this.form;
    let left = inode.size;
    let first = 0;
    let count = 0;
    const run = () => {
      const length = Math.min(left, count * blockSize);
      left -= length;
      return first === 0 ? Buffer.alloc(length) : this.#source.read(first * unit, length);
    };
    for (const block of this.#dataBlocks(inode)) {
      const follows = block === (first === 0 ? 0 : first + (count * blockSize) / unit);
      if (count > 0 && (!follows || count * blockSize >= PIECE)) {
        yield run();
        count = 0;
      }
      if (count === 0) first = block;
      count++;
    }
    if (count > 0) yield run();
  }

  /** All blocks of an inode, indirect ones too; holes are left out. */
  *#blocks(inode: DiskInode): Generator<number> {
    const indirect: number[] = [];
    for (const block of this.#dataBlocks(inode, indirect)) if (block !== 0) yield block;
    yield* indirect;
  }

  /** The blocks of the contents, a hole as 0. The indirect ones on the way are noted in `indirect`. */
  *#dataBlocks(inode: DiskInode, indirect: number[] = []): Generator<number> {
    if (inode.target !== undefined) return;
    const type = this.#type(inode);
    if (type !== 'file' && type !== 'directory' && type !== 'symlink') return;
    const { blockSize, pointerSize, units } = this.form;
    const perBlock = blockSize / pointerSize;
    let left = Math.ceil(inode.size / blockSize);
    const checked = (block: number) => {
      if (block < 0 || block >= units) throw new BrokenVolume(`inode ${inode.number} points to block ${block}`);
      return block;
    };
    const source = this.#source;
    const { unit } = this.form;
    function* walk(block: number, depth: number): Generator<number> {
      checked(block);
      if (depth === 0) {
        left--;
        yield block;
        return;
      }
      if (block === 0) {
        const holes = Math.min(left, perBlock ** depth);
        left -= holes;
        for (let n = 0; n < holes; n++) yield 0;
        return;
      }
      indirect.push(block);
      const bytes = source.read(block * unit, blockSize);
      for (let n = 0; n < perBlock && left > 0; n++) {
        const at = n * pointerSize;
        yield* walk(pointerSize === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigInt64LE(at)), depth - 1);
      }
    }
    for (let n = 0; n < DIRECT && left > 0; n++) yield* walk(inode.pointers[n]!, 0);
    for (let depth = 1; depth <= 3 && left > 0; depth++) yield* walk(inode.pointers[DIRECT + depth - 1]!, depth);
    if (left > 0) throw new BrokenVolume(`inode ${inode.number} has ${inode.size} bytes, more than there can be`);
  }
}

function readWithin(source: BlockSource, start: number, size: number, position: number, length: number): Buffer {
  if (position < 0 || position + length > size) throw new BrokenVolume(`it points beyond its end, to ${position}`);
  return source.read(start + position, length);
}

function digestOf(pieces: Iterable<Buffer>): Digest {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
