import { createHash, hash as hashOf } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { type IndexedTree, indexTree, parseIndex } from '../formats/treeindex.ts';
import { asProblem, pieces, sha256, signature, walk } from '../host/files.ts';
import {
  type Blob,
  blobsIn,
  type Digest,
  type Entry,
  type FileEntry,
  type Tree,
  type TreeArtifact,
} from '../model/artifact.ts';
import { type BlobStore, CorruptBlob, type IntakeChecks } from '../model/step.ts';
import { takeIn } from './intake.ts';

/** Where cacache keeps contents: the second version of its layout. */
const CONTENT = path.join('content-v2', 'sha256');
/** How much of a blob is read at once when many small files lie in it. */
const WINDOW = 4 * 1024 * 1024;
/** Bytes between two files that are read along: the headers of a tar archive. */
const GAP = 16 * 1024;
/** How many entries of trees are kept in memory: three of a base system, and many small ones. */
const REMEMBERED = 40_000;

/**
 * Blobs by their SHA-256, kept by cacache, whose only user this is. What is stored is never changed; every read is
 * verified, and bytes that are not what they were are thrown as `CorruptBlob`, after the bad blob was removed.
 */
export class Store implements BlobStore {
  readonly #folder: string;
  /** Files that were verified, with their signatures then. */
  readonly #verified = new Map<Digest, string>();
  /** The trees that were made or read last. */
  readonly #trees = new Map<Digest, IndexedTree>();

  constructor(root: string) {
    this.#folder = path.join(root, 'blobs');
  }

  has(digest: Digest): boolean {
    return existsSync(this.#path(digest));
  }

  async putBytes(bytes: Uint8Array): Promise<Blob> {
    const digest = sha256(bytes);
    if (!this.has(digest)) {
      const { default: write } = await import('cacache/lib/content/write.js');
      try {
        await write(this.#folder, bytes, { algorithms: ['sha256'] });
      } catch (error) {
        throw asProblem(error, this.#folder);
      }
    }
    return { kind: 'blob', digest, size: bytes.length };
  }

  async putChunks(chunks: AsyncIterable<Buffer>, checks: IntakeChecks = {}): Promise<Blob> {
    try {
      const taken = await takeIn(this.#folder, chunks, checks);
      return taken === undefined ? await this.putBytes(new Uint8Array()) : { kind: 'blob', ...taken };
    } catch (error) {
      throw asProblem(error, this.#folder);
    }
  }

  async readBytes(digest: Digest): Promise<Buffer> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path(digest));
    } catch (error) {
      throw this.#corrupt(digest, `cannot be read: ${(error as Error).message}`);
    }
    if (sha256(bytes) !== digest) throw this.#corrupt(digest, 'has been damaged');
    return bytes;
  }

  async verifiedFile(digest: Digest): Promise<string> {
    const file = this.#path(digest);
    const now = signature(file);
    if (now === undefined) throw this.#corrupt(digest, 'is not there');
    if (this.#verified.get(digest) !== now) {
      const hash = createHash('sha256');
      for await (const piece of pieces(file)) hash.update(piece);
      if (hash.digest('hex') !== digest) throw this.#corrupt(digest, 'has been damaged');
      this.#verified.set(digest, now);
    }
    return file;
  }

  async *readEntries(entries: readonly Entry[], signal: AbortSignal): AsyncGenerator<{ entry: Entry; piece: Buffer }> {
    const files = entries.filter((entry) => entry.type === 'file' && entry.content.size > 0) as FileEntry[];
    using reader = new SliceReader((digest) => this.#path(digest), files);
    for (const entry of files) {
      signal.throwIfAborted();
      const { blob, size, digest } = entry.content;
      const hash = size > WINDOW ? createHash('sha256') : undefined;
      for (let done = 0; done < size; done += WINDOW) {
        let piece: Buffer;
        try {
          piece = reader.read(entry, done, Math.min(WINDOW, size - done));
        } catch (error) {
          throw this.#corrupt(blob, `cannot be read: ${(error as Error).message}`);
        }
        hash?.update(piece);
        const isLast = done + WINDOW >= size;
        if (isLast && (hash?.digest('hex') ?? hashOf('sha256', piece)) !== digest) {
          throw this.#corrupt(blob, `is damaged in ${entry.path}`);
        }
        yield { entry, piece };
      }
    }
  }

  async readEntry(entry: Entry, signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const { piece } of this.readEntries([entry], signal)) parts.push(Buffer.from(piece));
    return Buffer.concat(parts);
  }

  async putTree(tree: Tree): Promise<TreeArtifact> {
    const indexed = indexTree(tree, this.#largest());
    const blob = await this.putBytes(indexed.index);
    this.#remember(blob.digest, indexed);
    return { ...blob, kind: 'tree', blobs: blobsIn(tree), entries: tree.length };
  }

  async readTree({ digest }: Pick<TreeArtifact, 'digest'>): Promise<Tree> {
    // One that the cache has lost must be missed, even if it is remembered.
    const known = this.has(digest) ? this.#trees.get(digest) : undefined;
    if (known !== undefined) return known.tree;
    const indexed = parseIndex(await this.readBytes(digest), this.#largest());
    this.#remember(digest, indexed);
    return indexed.tree;
  }

  /** A tree is most often read right after it was made, or followed by one that is much like it. */
  #remember(digest: Digest, tree: IndexedTree): void {
    this.#trees.delete(digest);
    this.#trees.set(digest, tree);
    let entries = 0;
    for (const each of this.#trees.values()) entries += each.tree.length;
    for (const [oldest, { tree: old }] of this.#trees) {
      if (entries <= REMEMBERED || oldest === digest) return;
      this.#trees.delete(oldest);
      entries -= old.length;
    }
  }

  /** The one of the remembered trees that others have most in common with. */
  #largest(): IndexedTree | undefined {
    let largest: IndexedTree | undefined;
    for (const each of this.#trees.values()) if (each.tree.length > (largest?.tree.length ?? 0)) largest = each;
    return largest;
  }

  /** All blobs, with when each was stored: milliseconds since 1970. */
  list(): { digest: Digest; size: number; stored: number }[] {
    return walk(path.join(this.#folder, CONTENT)).flatMap(({ path: name, type }) => {
      const stat =
        type === 'file' ? statSync(path.join(this.#folder, CONTENT, name), { throwIfNoEntry: false }) : undefined;
      return stat === undefined ? [] : [{ digest: name.replaceAll('/', ''), size: stat.size, stored: stat.mtimeMs }];
    });
  }

  /** Bytes of a blob; none if it is not there. */
  size(digest: Digest): number {
    return statSync(this.#path(digest), { throwIfNoEntry: false })?.size ?? 0;
  }

  remove(digest: Digest): void {
    rmSync(this.#path(digest), { force: true });
  }

  /** Removes the temporary files of writers that died before this time: milliseconds since 1970. */
  sweep(before: number): void {
    const temporary = path.join(this.#folder, 'tmp');
    for (const { path: name } of walk(temporary)) {
      const stat = statSync(path.join(temporary, name), { throwIfNoEntry: false });
      if (stat !== undefined && stat.mtimeMs < before)
        rmSync(path.join(temporary, name), { recursive: true, force: true });
    }
  }

  /** Where cacache keeps a blob (its content/path.js). */
  #path(digest: Digest): string {
    return path.join(this.#folder, CONTENT, digest.slice(0, 2), digest.slice(2, 4), digest.slice(4));
  }

  #corrupt(digest: Digest, detail: string): CorruptBlob {
    this.#verified.delete(digest);
    this.remove(digest);
    return new CorruptBlob(digest, detail);
  }
}

/**
 * Reads files that lie in a few blobs. Neighbours in the list are often neighbours in their blob too, as the files of a
 * set are, and are then read in one go. Reads are synchronous: of what is in the page cache, a promise for each small
 * file costs many times the read.
 */
class SliceReader implements Disposable {
  readonly #pathOf: (digest: Digest) => string;
  readonly #files: readonly FileEntry[];
  readonly #open = new Map<Digest, number>();
  readonly #buffer = Buffer.allocUnsafeSlow(WINDOW);
  #blob: Digest | undefined;
  #start = 0;
  #length = 0;
  /** The index of the file that is to be read next. */
  #next = 0;

  /** `files` is the order in which they will be read. */
  constructor(pathOf: (digest: Digest) => string, files: readonly FileEntry[]) {
    this.#pathOf = pathOf;
    this.#files = files;
  }

  /** `size` bytes of a file from `from` on, valid until the next read. */
  read({ content }: FileEntry, from: number, size: number): Buffer {
    const start = content.offset + from;
    const isHere = this.#blob === content.blob && start >= this.#start && start + size <= this.#start + this.#length;
    if (!isHere) this.#fill(content.blob, start, Math.max(size, from === 0 ? this.#runLength() : 0));
    if (from + size >= content.size) this.#next++;
    return this.#buffer.subarray(start - this.#start, start - this.#start + size);
  }

  /** How far the files that come next lie one after the other, up to what fits. */
  #runLength(): number {
    const { blob, offset } = this.#files[this.#next]!.content;
    let end = offset;
    for (let n = this.#next; n < this.#files.length; n++) {
      const { content } = this.#files[n]!;
      const isNear = content.blob === blob && content.offset >= end && content.offset - end < GAP;
      if (!isNear || content.offset + content.size - offset > WINDOW) break;
      end = content.offset + content.size;
    }
    return end - offset;
  }

  #fill(blob: Digest, start: number, length: number): void {
    let file = this.#open.get(blob);
    if (file === undefined) {
      file = openSync(this.#pathOf(blob), 'r');
      this.#open.set(blob, file);
    }
    this.#blob = undefined;
    const read = readSync(file, this.#buffer, 0, length, start);
    if (read < length) throw new Error(`it ends at byte ${start + read}`);
    [this.#blob, this.#start, this.#length] = [blob, start, length];
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.values()) closeSync(file);
  }
}
