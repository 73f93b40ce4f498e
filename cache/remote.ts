import { decodeActionResult, encodeActionResult, type OutputFile } from '../formats/actionresult.ts';
import { pieces, sha256 } from '../host/files.ts';
import { TooLate } from '../host/http.ts';
import { blobsOf, type Digest } from '../model/artifact.ts';
import type { Emit, RemoteSummary } from '../model/event.ts';
import { cacheRequired } from '../model/problems.ts';
import { BazelCache, type BazelServer } from './bazel.ts';
import { type KeyRecord, parseRecord, recordText } from './records.ts';
import { isPublicKey, isSigned, type Signature, signed } from './signature.ts';
import type { Store } from './store.ts';

/** What is asked of a remote cache, and whom to believe. */
export interface RemoteSettings {
  readonly server: BazelServer;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Fail, rather than work without it. */
  readonly required: boolean;
  /** Whose results are read, the first of them first; what is made here is written to the first. */
  readonly namespaces: readonly string[];
  /** The public keys whose results are believed, or `anyone`. */
  readonly trust: readonly string[] | 'anyone';
  /** The private key to sign with, as PEM. */
  readonly privateKey?: string | undefined;
}

/** The files of a result that stand in it whole, beside those that lie in the cache by their digests. */
const RECORD = 'record.json';
const SIGNATURE = 'signature.json';

/**
 * Key records and blobs in a cache that many machines share. A record is the result of an action: it stands in it whole, with
 * its signature, beside the digests of the blobs that its artifact needs, so that a validating server knows what belongs
 * together. Nothing that comes back is believed: a record must be signed by whom we trust, bytes must have their digest.
 */
export class RemoteCache {
  readonly #settings: RemoteSettings;
  readonly #cache: BazelCache;
  readonly #emit: Emit;
  /** Sizes of the blobs that results told of. */
  readonly #sizes = new Map<Digest, number>();
  /** Whether it has, or will have, blobs that it told of or was given. */
  readonly #there = new Map<Digest, Promise<boolean>>();
  readonly #count = { hits: 0, misses: 0, slower: 0 };
  #trouble: string | undefined;
  #warned = new Set<string>();

  constructor(settings: RemoteSettings, emit: Emit, signal: AbortSignal) {
    this.#settings = settings;
    this.#emit = emit;
    this.#cache = new BazelCache(settings.server, signal, {
      onOff: (detail) => {
        this.#trouble = detail;
        if (!settings.required) this.#warn(`goes on without the remote cache: ${detail}`);
      },
      onReadOnly: (detail) => {
        this.#trouble = detail;
        this.#warn(`the remote cache takes nothing more: ${detail}`);
      },
    });
  }

  get reads(): boolean {
    return this.#settings.reads;
  }

  get writes(): boolean {
    return this.#settings.writes && !this.#cache.isReadOnly;
  }

  /**
   * The record with a key, if anybody we trust has made one; one round trip. A step that took less than that, `lastMs`, is not
   * asked for. Throws `cache-required` where it is, and cannot be asked.
   */
  async find(key: Digest, lastMs: number | undefined): Promise<KeyRecord | undefined> {
    if (lastMs !== undefined && lastMs < (this.#cache.latency ?? 0)) return undefined;
    const record = await this.#lookUp(key);
    this.#count[record === undefined ? 'misses' : 'hits']++;
    return record;
  }

  async #lookUp(key: Digest): Promise<KeyRecord | undefined> {
    const found = await Promise.all(this.#settings.namespaces.map((namespace) => this.#read(namespace, key)));
    this.#assertUsable();
    return found.find((each) => each !== undefined);
  }

  /**
   * How long it would take to fetch blobs, in milliseconds, as far as their sizes and the speed of the connection are known;
   * undefined if not.
   */
  async timeFor(blobs: readonly Digest[], key: Digest): Promise<number | undefined> {
    // Who found the record in the local cache has not heard of the sizes.
    if (!blobs.every((blob) => this.#sizes.has(blob))) await this.#lookUp(key);
    const { speed, latency = 0 } = this.#cache;
    if (speed === undefined || !blobs.every((blob) => this.#sizes.has(blob))) return undefined;
    const bytes = blobs.reduce((sum, blob) => sum + this.#sizes.get(blob)!, 0);
    return latency + bytes / speed;
  }

  /** Notes that something was rather made than fetched. */
  noteSlower(): void {
    this.#count.slower++;
  }

  /** Brings a blob into the store, if it is there within so many milliseconds and what its digest says. */
  async bring(digest: Digest, within: number, store: Store): Promise<'brought' | 'late' | 'lacking'> {
    try {
      const blob = await this.#cache.blob(digest, within, (chunks) =>
        store.putChunks(chunks, {
          accept: (found) => {
            if (found !== digest) throw new WrongBytes();
          },
        }),
      );
      this.#assertUsable();
      return blob === undefined ? 'lacking' : 'brought';
    } catch (error) {
      if (error instanceof TooLate) return 'late';
      if (!(error instanceof WrongBytes)) throw error;
      this.#warn(`the remote cache has other bytes for ${digest.slice(0, 12)}… than their digest says: not taken`);
      return 'lacking';
    }
  }

  /** Stores a record, and the blobs that it needs and the cache has not. `store` has them, or else they came from there. */
  async offer(record: KeyRecord, store: Store): Promise<void> {
    const blobs = blobsOf(record.output);
    const files: OutputFile[] = [];
    for (const blob of blobs) {
      if (!(await this.offerBlob(blob, store))) return;
      const size = this.#sizes.get(blob) ?? store.size(blob);
      files.push({ path: `blobs/${blob}`, digest: blob, size });
    }
    const namespace = this.#settings.namespaces[0]!;
    const text = Buffer.from(recordText(record));
    const { privateKey } = this.#settings;
    const signature =
      privateKey && Buffer.from(JSON.stringify(signed(statement(namespace, record.key, text), privateKey)));
    const inline = (path: string, contents: Buffer): OutputFile => {
      return { path, digest: sha256(contents), size: contents.length, contents };
    };
    files.unshift(inline(RECORD, text), ...(signature ? [inline(SIGNATURE, signature)] : []));
    const result = encodeActionResult({ files });
    await this.#cache.put('ac', actionKey(namespace, record.key), () => result);
  }

  summary(): RemoteSummary {
    return { ...this.#count, ...this.#cache.traffic, trouble: this.#trouble };
  }

  /** Stores a blob, if the cache has it not; false if it does not take it, or the store has none. */
  offerBlob(digest: Digest, store: Store): Promise<boolean> {
    // Several steps make, and hand on, the same blob at the same time.
    const offer = this.#there.get(digest) ?? this.#place(digest, store);
    this.#there.set(digest, offer);
    return offer;
  }

  async #place(digest: Digest, store: Store): Promise<boolean> {
    if (await this.#cache.has(digest)) return true;
    if (!store.has(digest)) return false;
    const [file, size] = [await store.verifiedFile(digest), store.size(digest)];
    return this.#cache.put('cas', digest, () => ({ chunks: pieces(file), size }));
  }

  async #read(namespace: string, key: Digest): Promise<KeyRecord | undefined> {
    const bytes = await this.#cache.result(actionKey(namespace, key));
    if (bytes === undefined) return undefined;
    let files: readonly OutputFile[];
    try {
      ({ files } = decodeActionResult(bytes));
    } catch {
      this.#warn('the remote cache has something that is no result of an action: not taken');
      return undefined;
    }
    const contents = (name: string) => files.find(({ path }) => path === name)?.contents;
    const text = Buffer.from(contents(RECORD) ?? '');
    if (!this.#isTrusted(statement(namespace, key, text), contents(SIGNATURE))) return undefined;
    const record = parseRecord(text.toString(), key);
    if (record === undefined) {
      this.#warn(`the remote cache has a damaged record of ${key.slice(0, 12)}…: not taken`);
      return undefined;
    }
    for (const { digest, size } of files) {
      this.#sizes.set(digest, size);
      this.#there.set(digest, Promise.resolve(true));
    }
    return record;
  }

  #isTrusted(statement: Buffer, signature: Uint8Array | undefined): boolean {
    const { trust } = this.#settings;
    if (trust === 'anyone') return true;
    if (signature === undefined) {
      this.#warn('the remote cache has results that nobody signed: not taken');
      return false;
    }
    const found = signatureOf(signature);
    if (found === undefined || !trust.includes(found.by)) {
      this.#warn(
        `the remote cache has results signed by ${found?.by ?? 'nobody we know'}, who is not trusted: not taken`,
      );
      return false;
    }
    if (isSigned(statement, found)) return true;
    this.#warn(`the remote cache has a result that ${found.by} did not sign as it is: not taken`);
    return false;
  }

  #assertUsable(): void {
    if (this.#settings.required && this.#cache.isOff)
      throw cacheRequired(this.#settings.server.url, this.#trouble ?? '');
  }

  /** Each thing is said once. */
  #warn(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.#emit({ type: 'notice', text });
  }
}

class WrongBytes extends Error {}

/**
 * Where the results of a namespace are kept: what one namespace holds is not found by who asks for another. Blobs need
 * none: they are what their digests say, whoever stored them.
 */
function actionKey(namespace: string, key: Digest): Digest {
  return sha256(`smol result\n${namespace}\n${key}\n`);
}

/** What is signed: a record alone could be shown again under another key, or in a namespace that is trusted more. */
function statement(namespace: string, key: Digest, record: Uint8Array): Buffer {
  return Buffer.from(`smol result\n${namespace}\n${key}\n${sha256(record)}\n`);
}

function signatureOf(bytes: Uint8Array): Signature | undefined {
  try {
    const { by, signature } = JSON.parse(Buffer.from(bytes).toString()) as Partial<Signature>;
    return isPublicKey(by) && typeof signature === 'string' ? { by, signature } : undefined;
  } catch {
    return undefined;
  }
}
