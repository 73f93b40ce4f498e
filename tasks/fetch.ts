import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checksumOf } from '../formats/checksums.ts';
import { misnamed } from '../formats/magic.ts';
import { downloadPackage, newestPackage, type PackageSource } from '../host/apt.ts';
import type { FileDigests } from '../host/digests.ts';
import { pieces } from '../host/files.ts';
import { download } from '../host/http.ts';
import type { Pin, Pins } from '../manifest/lock.ts';
import type { Json } from '../model/json.ts';
import { Problem } from '../model/problem.ts';
import {
  inputChanged,
  noChecksum,
  noSuchFile,
  nothingListed,
  notThatKind,
  offline,
  pinMismatch,
  wrongChecksum,
} from '../model/problems.ts';
import type { Source, SourceContext, Step, StepContext, Task } from '../model/step.ts';
import { starred } from '../model/words.ts';

/**
 * Bytes from elsewhere: a URL, a file, a Debian package. A source that has no pin yet is pinned before its step has a
 * key; from then on the key is the pin, wherever the bytes are taken from.
 */
export const fetch: Task = {
  kind: 'fetch',
  version: 1,
  summary: 'bytes by URL, file or Debian package, as they were pinned',
  pool: 'net',
  async run(context: StepContext) {
    return (context.source as RemoteSource).retrieve(context, context.identity as unknown as Pin);
  },
};

/** Where the bytes of a source are really taken from. */
export type Location =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'apt'; readonly pkg: PackageSource };

export interface Expected {
  /** As digest(1) has it, in lower case. */
  readonly algorithm: string;
  readonly hex: string;
  /** Who says so. */
  readonly by: string;
}

/** The algorithms of digest(1) as node knows them. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  md5: 'md5',
  rmd160: 'ripemd160',
  sha1: 'sha1',
  sha256: 'sha256',
  sha512: 'sha512',
};

export interface RemoteSourceParts {
  /** The source as the catalogue has it: the name of its pin. */
  readonly name: string;
  readonly location: Location;
  /** The publisher's file of checksums, if there is one, and how people know it. */
  readonly checksums?: { readonly location: Location; readonly name: string } | undefined;
  /** Its digest as something else of its publisher says. */
  readonly expected?: Expected | undefined;
  readonly pins: Pins;
  readonly digests: FileDigests;
  /** Where apt keeps its state. */
  readonly aptState: string;
  /** Take nothing that is not on this host. */
  readonly offline: boolean;
}

export function fetchStep(parts: RemoteSourceParts): Step {
  return { name: `fetch ${parts.name}`, task: fetch, options: {}, inputs: {}, source: new RemoteSource(parts) };
}

export class RemoteSource implements Source {
  readonly #parts: RemoteSourceParts;
  readonly name: string;

  constructor(parts: RemoteSourceParts) {
    this.#parts = parts;
    this.name = parts.name;
  }

  get from(): string {
    const { location } = this.#parts;
    if (location.kind === 'http') return location.url;
    return location.kind === 'file' ? location.file : "this host's package sources";
  }

  get path(): string | undefined {
    const { location } = this.#parts;
    return location.kind === 'file' ? location.file : undefined;
  }

  /** Whether its bytes can only come from the network. */
  get isRemote(): boolean {
    return this.#parts.location.kind !== 'file';
  }

  /** Whether it is an input like any other, a file of the host that is named as one: not pinned. */
  get #isInput(): boolean {
    return this.name.startsWith('file:');
  }

  async known(): Promise<Json | undefined> {
    const { location, pins, digests, name } = this.#parts;
    const pin = pins.get(name);
    if (location.kind !== 'file') return pin && { ...pin };
    const found = await digests.of(location.file);
    // A file that is named as one is an input like any other; one that stands for a URL is held to the URL's pin.
    if (this.#isInput) return found;
    if (pin !== undefined && found.sha256 !== pin.sha256) {
      throw pinMismatch(name, pin.sha256, `${found.sha256}, in ${location.file}`);
    }
    return pin && { ...pin };
  }

  async identify(context: SourceContext): Promise<Json> {
    const { location, aptState } = this.#parts;
    const known = await this.known();
    if (known !== undefined) return known;
    if (location.kind !== 'apt') {
      const file = await this.#fileNamed(context);
      const pin = file === undefined ? {} : { file };
      return this.#pin({ ...(await this.#admit(context, await this.#download(context, pin), file)), ...pin });
    }
    if (this.#parts.offline) throw offline([this.name]);
    const newest = await newestPackage(location.pkg, aptState, context.signal);
    const { name, version, sha256, size } = newest;
    return this.#pin({ sha256, size, package: `${name}=${version}` });
  }

  /** The bytes in the store. Throws `pin-mismatch` if they are not what the pin says. */
  async retrieve(context: SourceContext, pin: Pin) {
    const { store } = context;
    if (store.has(pin.sha256)) return { kind: 'blob' as const, digest: pin.sha256, size: pin.size };
    const file = await this.#download(context, pin);
    await this.#checkKind(file);
    return store.putChunks(pieces(file, context.signal), {
      accept: (found) => {
        if (found === pin.sha256) return;
        throw this.#isInput ? inputChanged(file) : pinMismatch(this.name, pin.sha256, found);
      },
    });
  }

  /** A file with the bytes, in the scratch directory or, if they lie on this host, where they are. */
  async #download(context: SourceContext, pin: Partial<Pin>): Promise<string> {
    const { location } = this.#parts;
    if (this.#parts.offline && location.kind !== 'file') throw offline([this.name]);
    switch (location.kind) {
      case 'file':
        return location.file;
      case 'http': {
        const file = path.join(await context.scratch(), 'download');
        const [url, name] = [location.url, this.name].map((each) => withFile(each, pin.file)) as [string, string];
        const alias = url === name ? undefined : name;
        await download(url, file, { signal: context.signal, progress: context.progress, alias });
        return file;
      }
      case 'apt': {
        const file = path.join(await context.scratch(), 'download.deb');
        const [name = '', version = ''] = (pin.package ?? '').split('=');
        await downloadPackage(location.pkg, { name, version }, file, this.#parts.aptState, context.signal);
        return file;
      }
      default:
        return location satisfies never;
    }
  }

  /** The newest of the names that a source with * stands for, as its directory lists them; undefined for any other. */
  async #fileNamed(context: SourceContext): Promise<string | undefined> {
    const { location } = this.#parts;
    const pattern = lastPart(this.name);
    if (location.kind !== 'http' || !pattern.includes('*')) return undefined;
    if (this.#parts.offline) throw offline([this.name]);
    const page = path.join(await context.scratch(), 'index');
    const folder = withFile(location.url, '');
    await download(folder, page, { signal: context.signal });
    const names = newestFirst(linksIn(await readFile(page, 'utf8'), pattern));
    if (names[0] === undefined) throw nothingListed(this.name, folder);
    return names[0];
  }

  /** Checks a first download by all that is known of it, stores it, and gives its pin. `name` is that of the file. */
  async #admit(context: SourceContext, file: string, name = lastPart(this.name)): Promise<Pin> {
    await this.#checkKind(file);
    const expected = await this.#expected(context, name);
    const algorithm = expected && ALGORITHMS[expected.algorithm];
    const hash = algorithm === undefined ? undefined : createHash(algorithm);
    const { digest, size } = await context.store.putChunks(pieces(file, context.signal), {
      tap: (chunk) => {
        hash?.update(chunk);
      },
      accept: () => {
        const found = hash?.digest('hex');
        if (expected === undefined || found === undefined || found === expected.hex) return;
        const { algorithm: name, hex, by } = expected;
        throw wrongChecksum(this.name, `${name} ${hex}`, `${name} ${found}`, by);
      },
    });
    return { sha256: digest, size };
  }

  /** What the publisher says that the digest is. Throws `no-checksum` if it has a list of them, but not this one. */
  async #expected(context: SourceContext, name: string): Promise<Expected | undefined> {
    const { checksums, expected } = this.#parts;
    if (checksums === undefined) return expected;
    const list = await this.#checksumList(context);
    if (list === undefined) return undefined;
    const listed = checksumOf(name, list);
    if (listed === undefined) throw noChecksum(this.name, checksums.name);
    return { ...listed, by: checksums.name };
  }

  /** The publisher's checksums, or undefined where it publishes none. */
  async #checksumList(context: SourceContext): Promise<string | undefined> {
    const { location, name } = this.#parts.checksums!;
    try {
      if (location.kind === 'file') return await readFile(location.file, 'utf8');
      if (location.kind !== 'http') return undefined;
      const file = path.join(await context.scratch(), 'checksums');
      await download(location.url, file, { signal: context.signal, alias: location.url === name ? undefined : name });
      return await readFile(file, 'utf8');
    } catch (error) {
      // Another step's failure, which stops this one, says nothing of this list.
      context.signal.throwIfAborted();
      const none =
        (error instanceof Problem && error.code === 'http-status') ||
        (error as NodeJS.ErrnoException).code === 'ENOENT';
      if (!none) throw error;
      context.log(`${name} is not there, so ${this.name} is taken as it came and pinned`);
      return undefined;
    }
  }

  async #checkKind(file: string): Promise<void> {
    const handle = await open(file).catch(() => {
      throw noSuchFile(file);
    });
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
      const name = this.#parts.location.kind === 'apt' ? 'package.deb' : this.name;
      const wrong = misnamed(name, buffer.subarray(0, bytesRead));
      if (wrong !== undefined) throw notThatKind(this.name, wrong.expected, wrong.found);
    } finally {
      await handle.close();
    }
  }

  async #pin(pin: Pin): Promise<Json> {
    await this.#parts.pins.change({ [this.name]: pin });
    return { ...pin };
  }
}

/** The path that a `file:` source means: relative ones from `base`. */
export function filePath(source: string, base: string): string {
  return source.startsWith('file://') ? fileURLToPath(source) : path.resolve(base, source.slice('file:'.length));
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** A URL whose last part, a pattern, is replaced by what it stands for. */
function withFile(url: string, file: string | undefined): string {
  return file === undefined ? url : url.slice(0, url.length - lastPart(url).length) + file;
}

/** The names in a directory's page, as web servers list one, that a pattern with * matches. */
function linksIn(page: string, pattern: string): string[] {
  const expression = starred(pattern);
  const names = [...page.matchAll(/<a\s[^>]*href\s*=\s*["']?([^"'\s>]+)/gi)].map(([, link]) =>
    decodeURIComponent(lastPart(link!)),
  );
  return [...new Set(names)].filter((name) => expression.test(name));
}

/** Names with version numbers in them, the highest first: 11.99.10 before 11.99.5. */
function newestFirst(names: readonly string[]): string[] {
  const parts = (name: string) => name.split(/(\d+)/);
  return [...names].sort((a, b) => {
    const [x, y] = [parts(a), parts(b)];
    const n = x.findIndex((part, k) => part !== y[k]);
    const [p = '', q = ''] = [x[n], y[n]];
    return (Number(q) - Number(p) || (q < p ? -1 : 1)) * (n < 0 ? 0 : 1);
  });
}
