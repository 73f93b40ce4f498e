import { exchange, NoAnswer, type Reply, type Request, type Tls, TooLate } from '../host/http.ts';
import type { Digest } from '../model/artifact.ts';

/** Where a cache by Bazel's HTTP protocol is, and how it is asked. */
export interface BazelServer {
  /** With the prefix of an instance, if it has one. */
  readonly url: string;
  /** The value of the header that says who we are. */
  readonly authorization?: string | undefined;
  readonly tls?: Tls | undefined;
  /** Milliseconds until it must have begun to answer. */
  readonly patience: number;
}

/** What may be left over from a server that answers the first request and then no other. */
const FAILURES = 3;
/** The digest of no bytes at all: to ask for it tells whether a server is there, and costs it nothing. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** The largest result that is read: bytes. */
const LARGEST_RESULT = 16 * 1024 * 1024;

/**
 * A cache that speaks Bazel's HTTP protocol: GET, HEAD and PUT of /cas/<sha256> for bytes and of /ac/<sha256> for what
 * actions made (bazel.build/remote/caching). It may be slow, full, wrong or gone, and none of that is an error here: what it
 * does not give is undefined. One that fails several times in a row is not asked again.
 */
export class BazelCache {
  readonly #server: BazelServer;
  readonly #signal: AbortSignal;
  readonly #onOff: (detail: string) => void;
  readonly #onReadOnly: (detail: string) => void;
  #failures = 0;
  #probe: Promise<boolean> | undefined;
  #isOff = false;
  #takesNothing = false;
  /** How long it takes to answer, in milliseconds, and how fast bytes come, in bytes a millisecond: once that is known. */
  latency: number | undefined;
  speed: number | undefined;
  readonly traffic = { received: 0, sent: 0 };

  /** `onOff` is told once, when the cache is given up, and why; `onReadOnly` when it takes nothing any more. */
  constructor(
    server: BazelServer,
    signal: AbortSignal,
    tell: { onOff: (detail: string) => void; onReadOnly: (detail: string) => void },
  ) {
    this.#server = { ...server, url: server.url.replace(/\/+$/, '') };
    this.#signal = signal;
    this.#onOff = tell.onOff;
    this.#onReadOnly = tell.onReadOnly;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  get isReadOnly(): boolean {
    return this.#isOff || this.#takesNothing;
  }

  /** What is kept under the key of an action. */
  async result(key: Digest): Promise<Buffer | undefined> {
    const started = performance.now();
    const within = 2 * this.#server.patience;
    const bytes = await this.#ask(`ac/${key}`, { within }, (reply) =>
      reply.status === 200 ? reply.bytes(LARGEST_RESULT) : undefined,
    ).catch((error: unknown) => {
      if (!(error instanceof TooLate)) throw error;
      this.#fail(error.message, FAILURES);
      return undefined;
    });
    const took = performance.now() - started;
    this.latency = this.latency === undefined ? took : (this.latency + took) / 2;
    this.traffic.received += bytes?.length ?? 0;
    return bytes;
  }

  /**
   * Reads a blob with `take`, which gets its chunks; undefined if the cache has none. Throws `TooLate` if it is not done in so
   * many milliseconds, which is no fault of the cache: somebody else is faster.
   */
  async blob<T>(
    digest: Digest,
    within: number,
    take: (chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#ask(`cas/${digest}`, { within }, async (reply) => {
      if (reply.status !== 200) return undefined;
      const started = performance.now();
      const before = this.traffic.received;
      const { traffic } = this;
      const counted = (async function* () {
        for await (const chunk of reply.chunks) {
          traffic.received += chunk.length;
          yield chunk;
        }
      })();
      try {
        return await take(counted);
      } finally {
        this.#noteSpeed(this.traffic.received - before, performance.now() - started);
      }
    });
  }

  /** Whether the cache has a blob. */
  async has(digest: Digest): Promise<boolean> {
    return (await this.#ask(`cas/${digest}`, { method: 'HEAD' }, (reply) => reply.status === 200)) ?? false;
  }

  /** Stores bytes; false if the cache did not take them. `body` is asked for once there is somebody to send it to. */
  async put(kind: 'ac' | 'cas', digest: Digest, body: () => NonNullable<Request['body']>): Promise<boolean> {
    if (this.isReadOnly) return false;
    const given = body();
    const size = given instanceof Uint8Array ? given.length : given.size;
    const request = { method: 'PUT' as const, body: given, headers: { 'content-type': 'application/octet-stream' } };
    const status = await this.#ask(`${kind}/${digest}`, request, (reply) => reply.status);
    if (status === undefined) return false;
    if (status >= 200 && status < 300) {
      this.traffic.sent += size;
      return true;
    }
    if (!this.#takesNothing) this.#onReadOnly(`it answers ${status}`);
    this.#takesNothing = true;
    return false;
  }

  #giveUp(detail: string): void {
    if (this.#isOff) return;
    this.#isOff = true;
    this.#onOff(detail);
  }

  async #ask<T>(
    path: string,
    request: Partial<Request>,
    use: (reply: Reply) => Promise<T> | T,
  ): Promise<T | undefined> {
    this.#probe ??= this.#exchange(`cas/${EMPTY}`, { method: 'HEAD' }, () => true, 1).then((is) => is ?? false);
    if (this.#isOff || !(await this.#probe) || this.#isOff) return undefined;
    return this.#exchange(path, request, use, FAILURES);
  }

  /** `most`: how many failures in a row are enough. */
  async #exchange<T>(
    path: string,
    request: Partial<Request>,
    use: (reply: Reply) => Promise<T> | T,
    most: number,
  ): Promise<T | undefined> {
    const { url, authorization, tls, patience } = this.#server;
    const headers = { ...request.headers, ...(authorization && { authorization }) };
    try {
      const reply = await exchange(`${url}/${path}`, { ...request, headers, tls, patience, signal: this.#signal });
      if (reply.status === 401 || reply.status === 403) {
        reply.drop();
        // One that lets everybody read and not everybody write.
        if (request.method !== 'PUT') this.#giveUp(`it answers ${reply.status}: it does not know who asks`);
        return request.method === 'PUT' ? await use(reply) : undefined;
      }
      // 507: its disk is full, which keeps nobody from reading.
      if (reply.status >= 500 && reply.status !== 507) {
        reply.drop();
        this.#fail(`it answers ${reply.status}`, most);
        return undefined;
      }
      try {
        const used = await use(reply);
        this.#failures = 0;
        return used;
      } finally {
        reply.drop();
      }
    } catch (error) {
      if (!(error instanceof NoAnswer) || error instanceof TooLate) throw error;
      this.#fail(error.message, most);
      return undefined;
    }
  }

  #fail(detail: string, most: number): void {
    this.#failures++;
    if (this.#failures >= most) this.#giveUp(detail);
  }

  #noteSpeed(bytes: number, ms: number): void {
    if (bytes < 64 * 1024 || ms <= 0) return;
    const now = bytes / ms;
    this.speed = this.speed === undefined ? now : (this.speed + now) / 2;
  }
}
