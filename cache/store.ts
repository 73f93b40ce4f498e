import { createHash, hash as hashOf } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseTree, serialiseTree } from '../formats/tree.ts';
import { asProblem, makeDirectory, pieces, sha256, signature } from '../host/files.ts';
import type { Blob, Digest, Entry, FileEntry, Tree, TreeArtifact } from '../model/artifact.ts';
import { type BlobStore, CorruptBlob } from '../model/step.ts';
import { takeIn } from './intake.ts';

/** How much of a blob is read at once when many small files lie in it. */
const WINDOW = 4 * 1024 * 1024;

/**
 * Blobs by their SHA-256, kept by cacache, whose only user this is. What is stored is never changed; every read is
 * verified, and bytes that are not what they were are thrown as `CorruptBlob`, after the bad blob was removed.
 */
export class Store implements BlobStore {
  readonly #folder: string;
  /** Files that were verified, with their signatures then. */
  readonly #verified = new Map<Digest, string>();

  constructor(root: string) {
    this.#folder = path.join(root, 'blobs');
  }

  has(digest: Digest): boolean {
    return existsSync(this.#path(digest));
  }

  async putBytes(bytes: Uint8Array): Promise<Blob> {
    const digest = sha256(bytes);
    if (!this.has(digest)) {
      const { put } = await import('cacache');
      await makeDirectory(this.#folder);
      try {
        await put(this.#folder, digest, Buffer.from(bytes), { algorithms: ['sha256'] });
      } catch (error) {
        throw asProblem(error, this.#folder);
      }
    }
    return { kind: 'blob', digest, size: bytes.length };
  }

  putFile(file: string): Promise<Blob> {
    return this.putChunks(pieces(file));
  }

  async putChunks(chunks: AsyncIterable<Buffer>, tap?: (chunk: Buffer) => Promise<void>): Promise<Blob> {
    await makeDirectory(this.#folder);
    try {
      const taken = await takeIn(this.#folder, chunks, tap);
      return taken === undefined ? await this.putBytes(new Uint8Array()) : { kind: 'blob', ...taken };
    } catch (error) {
      throw asProblem(error, this.#folder);
    }
  }

  async readBytes(digest: Digest): Promise<Buffer> {
    const parts: Buffer[] = [];
    try {
      for await (const piece of pieces(this.#path(digest))) parts.push(piece);
    } catch (error) {
      throw await this.#corrupt(digest, `cannot be read: ${(error as Error).message}`);
    }
    const bytes = Buffer.concat(parts);
    if (sha256(bytes) !== digest) throw await this.#corrupt(digest, 'has been damaged');
    return bytes;
  }

  async verifiedFile(digest: Digest): Promise<string> {
    const file = this.#path(digest);
    const now = signature(file);
    if (now === undefined) throw await this.#corrupt(digest, 'is not there');
    if (this.#verified.get(digest) !== now) {
      const hash = createHash('sha256');
      for await (const piece of pieces(file)) hash.update(piece);
      if (hash.digest('hex') !== digest) throw await this.#corrupt(digest, 'has been damaged');
      this.#verified.set(digest, now);
    }
    return file;
  }

  async *readEntries(entries: readonly Entry[], signal: AbortSignal): AsyncGenerator<{ entry: Entry; piece: Buffer }> {
    await using windows = new Windows((digest) => this.#path(digest));
    for (const entry of entries) {
      if (entry.type !== 'file' || entry.content.size === 0) continue;
      signal.throwIfAborted();
      const { blob, offset, size } = entry.content;
      const damaged = (detail: string) => this.#corrupt(blob, detail);
      if (size <= WINDOW) {
        const piece = await windows.read(blob, offset, size).catch(async (error: Error) => {
          throw await damaged(`cannot be read: ${error.message}`);
        });
        if (hashOf('sha256', piece) !== entry.content.digest) throw await damaged(`is damaged in ${entry.path}`);
        yield { entry, piece };
      } else {
        yield* this.#readLarge(entry, windows, damaged);
      }
    }
  }

  async *#readLarge(entry: FileEntry, windows: Windows, damaged: (detail: string) => Promise<CorruptBlob>) {
    const { blob, offset, size, digest } = entry.content;
    const hash = createHash('sha256');
    for (let done = 0; done < size; done += WINDOW) {
      const piece = await windows
        .read(blob, offset + done, Math.min(WINDOW, size - done))
        .catch(async (error: Error) => {
          throw await damaged(`cannot be read: ${error.message}`);
        });
      hash.update(piece);
      if (done + WINDOW >= size && hash.digest('hex') !== digest) throw await damaged(`is damaged in ${entry.path}`);
      yield { entry: entry as Entry, piece };
    }
  }

  async putTree(tree: Tree): Promise<TreeArtifact> {
    const index = await this.putBytes(serialiseTree(tree));
    const blobs = new Set(tree.flatMap((entry) => (entry.type === 'file' ? [entry.content.blob] : [])));
    return { ...index, kind: 'tree', blobs: [...blobs].sort(), entries: tree.length };
  }

  async readTree(artifact: TreeArtifact): Promise<Tree> {
    return parseTree(await this.readBytes(artifact.digest));
  }

  /** Where cacache keeps a blob (its content/path.js, version 2 of its layout). */
  #path(digest: Digest): string {
    return path.join(this.#folder, 'content-v2', 'sha256', digest.slice(0, 2), digest.slice(2, 4), digest.slice(4));
  }

  async #corrupt(digest: Digest, detail: string): Promise<CorruptBlob> {
    this.#verified.delete(digest);
    await rm(this.#path(digest), { force: true, recursive: true });
    return new CorruptBlob(digest, detail);
  }
}

/** Reads parts of a few blobs, a large window at a time: the files of a set lie in it nearly in the order of a tree. */
class Windows implements AsyncDisposable {
  readonly #pathOf: (digest: Digest) => string;
  readonly #open = new Map<Digest, { handle: FileHandle; buffer: Buffer; start: number; length: number }>();

  constructor(pathOf: (digest: Digest) => string) {
    this.#pathOf = pathOf;
  }

  /** The bytes, valid until the next read of the same blob. */
  async read(blob: Digest, offset: number, size: number): Promise<Buffer> {
    let window = this.#open.get(blob);
    if (window === undefined) {
      window = { handle: await open(this.#pathOf(blob)), buffer: Buffer.allocUnsafeSlow(WINDOW), start: 0, length: 0 };
      this.#open.set(blob, window);
    }
    if (offset < window.start || offset + size > window.start + window.length) {
      const { bytesRead } = await window.handle.read(window.buffer, 0, WINDOW, offset);
      window.start = offset;
      window.length = bytesRead;
      if (bytesRead < size) throw new Error(`it ends at byte ${offset + bytesRead}`);
    }
    return window.buffer.subarray(offset - window.start, offset - window.start + size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#open.values()) await handle.close();
  }
}
