import { setTimeout } from 'node:timers/promises';
import { ACCEPTED, type Descriptor, digestOf, type Index, type Manifest } from '../formats/oci.ts';
import type { Reference } from '../formats/reference.ts';
import { sha256 } from '../host/files.ts';
import { exchange, NoAnswer, type Reply, type Request } from '../host/http.ts';
import { imageNotThere, registryAnswered, registryRefuses, registryUnreachable } from '../model/problems.ts';
import { type Credentials, credentialsFor } from './credentials.ts';

/** Milliseconds until a registry must have begun to answer. */
const PATIENCE = 30_000;
const TRIES = 4;
/** The largest manifest that registries take: bytes. */
const LARGEST_MANIFEST = 4 * 1024 * 1024;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

type Access = 'pull' | 'pull,push';
type Body = () => NonNullable<Request['body']>;

/** A manifest as a registry gave it, its digest checked. */
export interface FoundManifest {
  readonly digest: string;
  readonly value: Manifest & Index;
}

/**
 * One repository of a registry, by the OCI distribution specification 1.1. What fails for a moment is tried again. Throws
 * `image-not-there`, `registry-refuses`, `registry-answered`, `registry-unreachable` and `credential-helper-failed`.
 */
export class Repository {
  readonly #reference: Reference;
  readonly #access: Access;
  readonly #signal: AbortSignal;
  #credentials: Promise<Credentials | undefined> | undefined;
  #authorization: string | undefined;

  constructor(reference: Reference, access: Access, signal: AbortSignal) {
    this.#reference = reference;
    this.#access = access;
    this.#signal = signal;
  }

  /** The manifest of a tag or a digest, or undefined if there is none. */
  async findManifest(name: string): Promise<FoundManifest | undefined> {
    const reply = await this.#ask(`manifests/${name}`, { headers: { accept: ACCEPTED.join(', ') } });
    if (reply.status === 404) {
      reply.drop();
      return undefined;
    }
    await this.#expect(reply, 200);
    const bytes = await reply.bytes(LARGEST_MANIFEST);
    const digest = digestOf(sha256(bytes));
    if (DIGEST.test(name) && name !== digest) throw registryAnswered(this.name, 200, `other bytes than ${name}`);
    try {
      return { digest, value: JSON.parse(bytes.toString()) as Manifest & Index };
    } catch {
      throw registryAnswered(this.name, 200, `a manifest ${name} that is no JSON`);
    }
  }

  /** The same; throws `image-not-there` if there is none. */
  async manifest(name: string): Promise<FoundManifest> {
    const found = await this.findManifest(name);
    if (found === undefined) throw imageNotThere(this.name, name);
    return found;
  }

  /** Stores a manifest, and gives its descriptor, and whether the registry has noted what it refers to as its subject. */
  async putManifest(value: object, mediaType: string, tag?: string): Promise<Descriptor & { isReferrer: boolean }> {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(sha256(bytes));
    const headers = { 'content-type': mediaType };
    const reply = await this.#ask(`manifests/${tag ?? digest}`, { method: 'PUT', headers, body: () => bytes });
    await this.#expect(reply, 201, 200);
    reply.drop();
    return { mediaType, digest, size: bytes.length, isReferrer: reply.headers['oci-subject'] !== undefined };
  }

  async hasBlob(digest: string): Promise<boolean> {
    const reply = await this.#ask(`blobs/${digest}`, { method: 'HEAD' });
    reply.drop();
    if (reply.status !== 404) await this.#expect(reply, 200);
    return reply.status === 200;
  }

  /** All of a small blob, its digest checked. */
  async blobBytes({ digest, size }: Descriptor): Promise<Buffer> {
    const reply = await this.#ask(`blobs/${digest}`, {});
    await this.#expect(reply, 200);
    const bytes = await reply.bytes(size);
    if (digestOf(sha256(bytes)) !== digest) throw registryAnswered(this.name, 200, `other bytes than ${digest}`);
    return bytes;
  }

  /** A blob in chunks, unchecked; of a part of it, `from` its first byte for `length` bytes, if the registry gives parts. */
  async blob(digest: string, part?: { readonly from: number; readonly length: number }): Promise<Reply> {
    const headers: Record<string, string> =
      part === undefined ? {} : { range: `bytes=${part.from}-${part.from + part.length - 1}` };
    const reply = await this.#ask(`blobs/${digest}`, { headers });
    await this.#expect(reply, 200, 206);
    return reply;
  }

  /** Stores a blob, unless the registry has it; false if it had. `body` may be asked for more than once. */
  async putBlob(digest: string, body: Body): Promise<boolean> {
    if (await this.hasBlob(digest)) return false;
    const begun = await this.#ask('blobs/uploads/', { method: 'POST', body: () => Buffer.alloc(0) });
    await this.#expect(begun, 202);
    begun.drop();
    const location = new URL(begun.headers.location ?? '', this.#base);
    location.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream' };
    // An upload that broke off cannot be begun again at the same place: the caller's next push begins a new one.
    const reply = await this.#ask(location.href, { method: 'PUT', headers, body }, 1);
    await this.#expect(reply, 201);
    reply.drop();
    return true;
  }

  /** All tags; none if there is no such repository. */
  async tags(): Promise<string[]> {
    const tags: string[] = [];
    for (let at: string | undefined = 'tags/list?n=1000'; at !== undefined; ) {
      const reply: Reply = await this.#ask(at, {});
      if (reply.status === 404) {
        reply.drop();
        return tags;
      }
      await this.#expect(reply, 200);
      const page = JSON.parse((await reply.bytes(LARGEST_MANIFEST)).toString()) as { tags?: string[] | null };
      tags.push(...(page.tags ?? []));
      const next = /^<([^>]+)>;\s*rel="?next"?/.exec(reply.headers.link ?? '')?.[1];
      at = next === undefined ? undefined : new URL(next, this.#base).href;
    }
    return tags;
  }

  get #base(): string {
    const { plain, host, repository } = this.#reference;
    return `${plain ? 'http' : 'https'}://${host}/v2/${repository}/`;
  }

  /** `host/repository` */
  get name(): string {
    return `${this.#reference.host}/${this.#reference.repository}`;
  }

  /** Asks, as who we are where that is wanted. */
  async #ask(
    path: string,
    request: Omit<Partial<Request>, 'body'> & { readonly body?: Body },
    tries = TRIES,
  ): Promise<Reply> {
    const url = new URL(path, this.#base).href;
    const isOurs = new URL(url).host === this.#reference.host;
    let isKnown = false;
    for (let attempt = 1; ; attempt++) {
      const { body, ...rest } = request;
      const authorization = isOurs ? this.#authorization : undefined;
      const headers = { ...request.headers, ...(authorization && { authorization }) };
      try {
        const given = body?.();
        const sent = { ...rest, headers, ...(given && { body: given }), patience: PATIENCE, signal: this.#signal };
        const reply = await exchange(url, sent);
        if (reply.status === 401 && isOurs && !isKnown) {
          isKnown = true;
          reply.drop();
          this.#authorization = await this.#introduce(reply.headers['www-authenticate'] ?? '');
          if (this.#authorization === undefined) return reply;
          attempt--;
          continue;
        }
        const isPassing = reply.status >= 500 || reply.status === 429 || reply.status === 408;
        if (!isPassing || attempt >= tries) return reply;
        reply.drop();
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (attempt >= tries) throw registryUnreachable(this.name, error.message);
      }
      await setTimeout(250 * 2 ** attempt, undefined, { signal: this.#signal });
    }
  }

  /** The header that says who we are, as a registry asks for it: by name and password, or by a token of its own service. */
  async #introduce(challenge: string): Promise<string | undefined> {
    this.#credentials ??= credentialsFor(this.#reference.host, this.#signal);
    const credentials = await this.#credentials;
    const basic =
      credentials && `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
    const [, scheme = '', rest = ''] = /^(\w+)\s*(.*)$/.exec(challenge) ?? [];
    if (scheme.toLowerCase() !== 'bearer') return basic;
    const parameters = Object.fromEntries(
      [...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    );
    const url = new URL(parameters.realm ?? '');
    if (parameters.service) url.searchParams.set('service', parameters.service);
    url.searchParams.set('scope', `repository:${this.#reference.repository}:${this.#access}`);
    const reply = await exchange(url.href, {
      headers: basic === undefined ? {} : { authorization: basic },
      patience: PATIENCE,
      signal: this.#signal,
    });
    if (reply.status !== 200) {
      reply.drop();
      return undefined;
    }
    const { token, access_token: other } = JSON.parse((await reply.bytes(LARGEST_MANIFEST)).toString()) as {
      token?: string;
      access_token?: string;
    };
    return `Bearer ${token ?? other}`;
  }

  /** Throws what the registry says, unless its status is one of these. */
  async #expect(reply: Reply, ...statuses: readonly number[]): Promise<void> {
    if (statuses.includes(reply.status)) return;
    const body = await reply.bytes(LARGEST_MANIFEST).catch(() => Buffer.alloc(0));
    const { status } = reply;
    if (status === 401 || status === 403) throw registryRefuses(this.name, this.#reference.host, status);
    throw registryAnswered(this.name, status, messageOf(body.toString()));
  }
}

/** What a registry says is wrong (distribution specification, "Error Codes"). */
function messageOf(body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors: { code: string; message?: string }[] };
    return errors.map(({ code, message }) => message ?? code).join('; ');
  } catch {
    return body.slice(0, 200).trim();
  }
}
