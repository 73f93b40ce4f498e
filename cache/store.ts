import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BLOB, FIELDS, OFFSET, parseMap, sourcesOf, writeSource } from '../formats/extentmap.ts';
import { entriesOf, indexOf, parseIndex } from '../formats/treeindex.ts';
import { asProblem, pieces, sha256, signature, walk, writeAtomically } from '../host/files.ts';
import type { Blob, Digest, Entry, FileEntry, Tree, TreeArtifact } from '../model/artifact.ts';
import type { BlockSink, ExtentMap, Sources, TreeIndex } from '../model/extents.ts';
import { type BlobStore, CorruptBlob, type IntakeChecks } from '../model/step.ts';
import { takeIn } from './intake.ts';
import { BadSource, SourceReader } from './sources.ts';

/** Where cacache keeps contents: the second version of its layout. */
const CONTENT = path.join('content-v2', 'sha256');
/** Where it keeps what is being written. */
const TEMPORARY = 'tmp';
/** How many bytes are copied before the event loop turns: some milliseconds. */
const TURN = 8 * 1024 * 1024;
/** How many bytes of indexes are kept in memory: three of a base system, and many small ones. */
const REMEMBERED = 6 * 1024 * 1024;

/**
 * Blobs by their SHA-256, kept as cacache keeps contents, and written by it where they come as a stream. What is stored is
 * never changed; every read is verified, and bytes that are not what they were are thrown as `CorruptBlob`, after the bad
 * blob was removed.
 */
export class Store implements BlobStore {
  readonly #folder: string;
  /** Files that were verified, with their signatures then. */
  readonly #verified = new Map<Digest, string>();
  /** The trees that were made or read last. */
  readonly #indexes = new Map<Digest, TreeIndex>();
  /** The map that was made last: an image is written by it next. */
  #lastMap: { readonly digest: Digest; readonly map: ExtentMap } | undefined;

  constructor(root: string) {
    this.#folder = path.join(root, 'blobs');
  }

  has(digest: Digest): boolean {
    return existsSync(this.#path(digest));
  }

  async putBytes(bytes: Uint8Array): Promise<Blob> {
    const digest = sha256(bytes);
    if (!this.has(digest)) {
      // cacache would hash them once more, and to load it takes as long as that.
      writeAtomically(this.#path(digest), bytes, { staging: path.join(this.#folder, TEMPORARY) });
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
    const sources = sourcesOf(files);
    using reader = new SourceReader((digest) => this.#path(digest));
    try {
      for (const { index, bytes } of reader.read(sources)) {
        signal.throwIfAborted();
        yield { entry: files[index]!, piece: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
      }
    } catch (error) {
      throw this.#problemOf(error, sources);
    }
  }

  async copy(map: ExtentMap, sink: BlockSink, signal: AbortSignal): Promise<void> {
    using reader = new SourceReader((digest) => this.#path(digest));
    let copied = 0;
    try {
      for (const piece of reader.read(map)) {
        writeSource(map, piece, sink);
        copied += piece.bytes.length;
        if (copied < TURN) continue;
        copied = 0;
        await setImmediate();
        signal.throwIfAborted();
      }
    } catch (error) {
      throw this.#problemOf(error, map);
    }
  }

  /** A blob that a bad source lies in is removed. */
  #problemOf(error: unknown, { blobs, sources }: Sources): unknown {
    if (!(error instanceof BadSource)) return error;
    const at = error.index * FIELDS;
    return this.#corrupt(blobs[sources[at + BLOB]!]!, `${error.message} from byte ${sources[at + OFFSET]!} on`);
  }

  async readEntry(entry: Entry, signal: AbortSignal): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const { piece } of this.readEntries([entry], signal)) parts.push(Buffer.from(piece));
    return Buffer.concat(parts);
  }

  async putTree(tree: Tree): Promise<TreeArtifact> {
    return this.putIndex(indexOf(tree));
  }

  async readTree(artifact: Pick<TreeArtifact, 'digest'>): Promise<Tree> {
    return entriesOf(await this.readIndex(artifact));
  }

  async putIndex(index: TreeIndex): Promise<TreeArtifact> {
    const blob = await this.putBytes(index.bytes);
    this.#remember(blob.digest, index);
    return { ...blob, kind: 'tree', blobs: index.blobs, entries: index.length };
  }

  async readIndex({ digest }: Pick<TreeArtifact, 'digest'>): Promise<TreeIndex> {
    // One that the cache has lost must be missed, even if it is remembered.
    const known = this.has(digest) ? this.#indexes.get(digest) : undefined;
    const index = known ?? parseIndex(await this.readBytes(digest));
    this.#remember(digest, index);
    return index;
  }

  async putMap(bytes: Buffer): Promise<Blob> {
    const blob = await this.putBytes(bytes);
    this.#lastMap = { digest: blob.digest, map: parseMap(bytes) };
    return blob;
  }

  async readMap({ digest }: Pick<Blob, 'digest'>): Promise<ExtentMap> {
    if (this.#lastMap?.digest === digest && this.has(digest)) return this.#lastMap.map;
    return parseMap(await this.readBytes(digest));
  }

  /** A tree is most often read right after it was made. */
  #remember(digest: Digest, index: TreeIndex): void {
    this.#indexes.delete(digest);
    this.#indexes.set(digest, index);
    let size = 0;
    for (const { bytes } of this.#indexes.values()) size += bytes.length;
    for (const [oldest, { bytes }] of this.#indexes) {
      if (size <= REMEMBERED || oldest === digest) return;
      this.#indexes.delete(oldest);
      size -= bytes.length;
    }
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
    const temporary = path.join(this.#folder, TEMPORARY);
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
