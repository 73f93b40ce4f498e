import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Extract, Headers } from 'tar-stream';
import type { Digest, Entry, Slice } from '../model/artifact.ts';
import { unsafePath, unsupportedEntry } from '../model/problems.ts';
import { crc32 } from './crc32.ts';
import { byPath } from './tree.ts';
import { LAST_TIME } from './treeindex.ts';

/** tar archives (ustar, pax and GNU: tar(5)), read for where things are in them. */

type Sums = Pick<Slice, 'digest' | 'crc'>;
type Header = Headers & { pax?: Record<string, string> | null };

/** What the archive's entries are but for the digest of the blob that will hold the archive. */
type Draft = (blob: Digest) => Entry;

/**
 * Finds the entries of an uncompressed tar archive that is written to it in chunks. Owners are the numbers of the
 * headers: names depend on the host. A hard link gets all that its first name has.
 *
 * Throws the problems `unsafe-path` and `unsupported-entry`, and an Error where the bytes are not tar.
 */
export class TarIndexer {
  readonly #name: string;
  readonly #tar: Extract;
  readonly #drafts = new Map<string, Draft>();
  /** Files that have a second name. */
  readonly #linked = new Set<string>();
  #failure: Error | undefined;
  /** Lets a writer go on that waits for room. */
  #wake: (() => void) | undefined;

  /** `name` is the archive's, for messages. */
  static async open(name: string): Promise<TarIndexer> {
    const { extract } = await import('tar-stream');
    return new TarIndexer(name, extract());
  }

  private constructor(name: string, tar: Extract) {
    this.#name = name;
    this.#tar = tar;
    this.#tar.on('error', (error) => {
      this.#failure ??= error;
    });
    for (const event of ['drain', 'close']) this.#tar.on(event, () => this.#wake?.());
    this.#tar.on('entry', (header: Header, stream, next) => {
      const hash = createHash('sha256');
      const sums = { crc: 0, digest: '' };
      stream.on('error', () => undefined); // the archive's own error says the same
      stream.on('data', (piece) => {
        hash.update(piece);
        sums.crc = crc32(piece, sums.crc);
      });
      stream.on('end', () => {
        try {
          sums.digest = hash.digest('hex');
          this.#add(header, (stream as unknown as { offset: number }).offset + 512, sums);
          next();
        } catch (error) {
          next(error);
        }
      });
    });
  }

  async write(chunk: Buffer): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!this.#tar.write(chunk)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
  }

  /** The entries, sorted; of a path that is there twice, the last. `blob` is the digest of all that was written. */
  async end(): Promise<(blob: Digest) => Entry[]> {
    if (!this.#failure) {
      const closed = once(this.#tar, 'close');
      this.#tar.end();
      await closed.catch(() => undefined);
    }
    if (this.#failure) throw this.#failure;
    return (blob) =>
      [...this.#drafts]
        .map(([path, draft]) => {
          const entry = draft(blob);
          return this.#linked.has(path) && entry.type === 'file' ? { ...entry, hard: true as const } : entry;
        })
        .sort(byPath);
  }

  #add(header: Header, offset: number, sums: Sums): void {
    const path = this.#safe(header.name);
    const draft = this.#draft(header, path, offset, sums);
    this.#linked.delete(path);
    this.#drafts.set(path, draft);
    if (header.type === 'link') this.#linked.add(path).add(this.#safe(header.linkname ?? ''));
  }

  #draft(header: Header, path: string, offset: number, sums: Sums): Draft {
    const pax = header.pax ?? {};
    if (Object.keys(pax).some((key) => key.startsWith('GNU.sparse'))) this.#refuse(path, 'a sparse file');
    const attributes = {
      path,
      mode: (header.mode ?? 0) & 0o7777,
      uid: Number(pax.uid ?? header.uid),
      gid: Number(pax.gid ?? header.gid),
      mtime: Math.min(LAST_TIME, Math.max(0, Math.floor(Number(pax.mtime ?? Number(header.mtime) / 1000)))),
    };
    switch (header.type) {
      case 'file':
      case 'contiguous-file': {
        const size = header.size ?? 0;
        return (blob) => ({ ...attributes, type: 'file', content: { blob, offset, size, ...sums } });
      }
      case 'directory':
        return () => ({ ...attributes, type: 'directory' });
      case 'symlink':
        return () => ({ ...attributes, type: 'symlink', target: header.linkname ?? '' });
      case 'fifo':
        return () => ({ ...attributes, type: 'fifo' });
      case 'character-device':
      case 'block-device': {
        const type = header.type === 'character-device' ? 'character' : 'block';
        return () => ({ ...attributes, type, major: header.devmajor ?? 0, minor: header.devminor ?? 0 });
      }
      case 'link': {
        const first = this.#safe(header.linkname ?? '');
        const draft = this.#drafts.get(first);
        if (draft === undefined) return this.#refuse(path, `a hard link to "${first}", which does not come before it`);
        return (blob) => ({ ...draft(blob), path });
      }
      default:
        return this.#refuse(path, `of a type that tar(5) does not know (${header.type})`);
    }
  }

  #refuse(path: string, what: string): never {
    throw unsupportedEntry(this.#name, path, what);
  }

  #safe(name: string): string {
    if (name.startsWith('/')) throw unsafePath(this.#name, name, 'is absolute');
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) throw unsafePath(this.#name, name, 'leads out of the archive');
    if (name.includes('\0')) throw unsafePath(this.#name, name, 'has a NUL in its name');
    return parts.join('/');
  }
}
