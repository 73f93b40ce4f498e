import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { RemoteCache, RemoteSettings } from '../cache/remote.ts';
import { asProblem, isFile, readIfThere, writeAtomically } from '../host/files.ts';
import type { Project } from '../manifest/project.ts';
import type { Emit } from '../model/event.ts';
import * as problems from '../model/problems.ts';

/** How the caches are to be used, where it is not as the configuration has it. */
export interface CacheUse {
  /** Such as `local:rw,remote:r`. */
  readonly cache?: string | undefined;
  /** Fail where the remote cache cannot be used. */
  readonly requireCache?: boolean | undefined;
}

/** For what runs nothing. */
export const NO_REMOTE: CacheUse = { cache: 'remote:' };

/** Letters of what may be done with a cache: `r` and `w`. */
type Access = Readonly<Record<'local' | 'remote', string | undefined>>;

/** What `--cache` says. Throws `usage`. */
export function accessOf(text: string | undefined): Access {
  const found: { local: string | undefined; remote: string | undefined } = { local: undefined, remote: undefined };
  for (const part of text === undefined ? [] : text.split(',')) {
    const [, name, letters] = /^(local|remote):(r?w?)$/.exec(part) ?? [];
    if (name === undefined) {
      throw problems.usage(
        `--cache ${text} means nothing`,
        'write local:rw,remote:r, and leave out what is not to be done',
      );
    }
    found[name as keyof Access] = letters;
  }
  if (found.local !== undefined && !found.local.includes('w')) {
    throw problems.usage(
      'the local cache is always written to: a step takes from it what it needs',
      'write local:rw, or local:w to run every step anew',
    );
  }
  return found;
}

/**
 * The remote cache that the configuration names, if it is to be used: nothing is asked of it yet. Throws `no-remote-cache`,
 * `no-signing-key`, `bad-signing-key` and `no-such-file`.
 */
export async function openRemote(
  project: Project,
  { cache, requireCache = false }: CacheUse,
  { emit, signal }: { readonly emit: Emit; readonly signal: AbortSignal },
): Promise<RemoteCache | undefined> {
  const wanted = accessOf(cache).remote;
  const remote = project.config.value.cache?.remote;
  if (remote === undefined) {
    if (wanted || requireCache) throw problems.noRemoteCache();
    return undefined;
  }
  // What it does not say, the schema does.
  const { url, mode, trust, namespace, alsoRead, timeout, tls = {} } = remote;
  const letters = wanted ?? (mode === 'readwrite' ? 'rw' : 'r');
  if (letters === '') return undefined;
  const writes = letters.includes('w');
  const file = (name: string | undefined) =>
    name === undefined ? undefined : textOf(path.resolve(project.root, name));
  const settings: RemoteSettings = {
    server: {
      url,
      authorization: authorization(),
      tls: { ca: file(tls.ca), cert: file(tls.cert), key: file(tls.key) },
      patience: timeout! * 1000,
    },
    reads: letters.includes('r'),
    writes,
    required: requireCache,
    namespaces: [...new Set([namespace!, ...alsoRead!])],
    trust,
    privateKey: writes ? await signingKey(url, trust === 'anyone') : undefined,
  };
  const { RemoteCache } = await import('../cache/remote.ts');
  return new RemoteCache(settings, emit, signal);
}

/** Makes a private key in a file, if there is none, and gives the public one for `trust:`. Throws `bad-signing-key`. */
export async function cacheKey({ folder }: { readonly folder: string }, name: string): Promise<string> {
  const { newPrivateKey, publicKeyOf } = await import('../cache/signature.ts');
  const file = path.resolve(folder, name);
  if (readIfThere(file) === undefined) writeAtomically(file, newPrivateKey(), { mode: 0o600 });
  const key = publicKeyOf(textOf(file));
  if (key === undefined) throw problems.badSigningKey(file);
  return key;
}

function authorization(): string | undefined {
  const { SMOL_CACHE_TOKEN: token, SMOL_CACHE_AUTH: user } = process.env;
  if (token) return `Bearer ${token}`;
  return user ? `Basic ${Buffer.from(user).toString('base64')}` : undefined;
}

async function signingKey(url: string, isOptional: boolean): Promise<string | undefined> {
  const given = process.env.SMOL_CACHE_KEY;
  if (!given) {
    if (isOptional) return undefined;
    throw problems.noSigningKey(url);
  }
  const isText = given.includes('-----BEGIN');
  const pem = isText ? given : textOf(path.resolve(given));
  const { publicKeyOf } = await import('../cache/signature.ts');
  if (publicKeyOf(pem) === undefined) throw problems.badSigningKey(isText ? 'SMOL_CACHE_KEY' : given);
  return pem;
}

function textOf(file: string): string {
  if (!isFile(file)) throw problems.noSuchFile(file);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw asProblem(error, file);
  }
}
