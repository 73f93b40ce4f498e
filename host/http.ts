import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { httpStatus, truncated, unreachable } from '../model/problems.ts';
import { asProblem } from './files.ts';

/** HTTP and HTTPS. The only file that uses got. */

const TRIES = 4;
/** Milliseconds without a byte after which a connection counts as dead. */
const STALL = Number(process.env.SMOL_STALL_MS ?? 30_000);

export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly progress?: (done: number, total: number | undefined) => void;
  /** What the address is known as, if it is that of a mirror. */
  readonly alias?: string | undefined;
}

/**
 * Downloads to a file that nobody else uses. A transfer that breaks off or stalls is resumed where it ended, if the
 * server can and still has the same file. Proxies are taken from the usual variables (http_proxy, no_proxy ...).
 * Throws the problems `http-status`, `truncated`, `unreachable` and `disk-full`.
 */
export async function download(url: string, file: string, options: DownloadOptions): Promise<void> {
  const name = options.alias ?? url;
  let validator: string | undefined;
  let last: { detail: string; got: number; total: number | undefined } = { detail: '', got: 0, total: undefined };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (attempt > 0) await setTimeout(250 * 2 ** attempt, undefined, { signal: options.signal });
    const offset = validator === undefined ? 0 : await sizeOf(file);
    const outcome = await transfer(url, file, offset, validator, options);
    if (outcome.kind === 'done') return;
    if (outcome.kind === 'status') {
      if (outcome.status === 416) validator = undefined;
      else if (outcome.status < 500 && outcome.status !== 408 && outcome.status !== 429) {
        throw httpStatus(name, outcome.status, options.alias && url);
      }
      last = { detail: `it answers ${outcome.status}`, got: 0, total: undefined };
    } else {
      validator = outcome.validator;
      last = outcome;
    }
  }
  if (last.total !== undefined) throw truncated(name, last.got, last.total);
  throw unreachable(name, last.detail);
}

type Outcome =
  | { kind: 'done' }
  | { kind: 'status'; status: number }
  | { kind: 'broken'; detail: string; got: number; total: number | undefined; validator: string | undefined };

async function transfer(
  url: string,
  file: string,
  offset: number,
  validator: string | undefined,
  { signal, progress }: DownloadOptions,
): Promise<Outcome> {
  const { got, RequestError } = await import('got');
  const request = got.stream(url, {
    retry: { limit: 0 },
    throwHttpErrors: false,
    decompress: false,
    timeout: { lookup: STALL, connect: STALL, secureConnect: STALL, response: STALL, socket: STALL },
    headers: offset > 0 && validator ? { range: `bytes=${offset}-`, 'if-range': validator } : {},
    ...(await proxyAgents()),
    signal,
  });
  let got200: { total: number | undefined; etag: string | undefined } | undefined;
  // What arrived, which can be more than was written when the connection broke off.
  let done = 0;
  try {
    const response = await new Promise<{ statusCode: number; headers: Record<string, string | string[] | undefined> }>(
      (resolve, reject) => {
        request.once('response', resolve);
        request.once('error', reject);
      },
    );
    if (response.statusCode !== 200 && response.statusCode !== 206) {
      request.destroy();
      return { kind: 'status', status: response.statusCode };
    }
    const start = response.statusCode === 206 ? offset : 0;
    const length = Number(response.headers['content-length'] ?? Number.NaN);
    const total = Number.isNaN(length) ? undefined : start + length;
    got200 = { total, etag: validatorOf(response.headers) };
    done = start;
    request.on('data', (chunk: Buffer) => {
      done += chunk.length;
      progress?.(done, total);
    });
    await pipeline(request, createWriteStream(file, { flags: start > 0 ? 'a' : 'w' }), { signal });
    const size = await sizeOf(file);
    if (total !== undefined && size !== total) {
      return { kind: 'broken', detail: 'it broke off', got: size, total, validator: got200.etag };
    }
    return { kind: 'done' };
  } catch (error) {
    request.destroy();
    signal.throwIfAborted();
    const problem = asProblem(error, file);
    if (problem !== error) throw problem;
    const isNetwork = error instanceof RequestError || typeof (error as NodeJS.ErrnoException).code === 'string';
    if (!isNetwork) throw error;
    const detail = (error as Error).message;
    return { kind: 'broken', detail, got: done, total: got200?.total, validator: got200?.etag };
  }
}

/** A strong validator for If-Range (RFC 9110, section 13.1.5). */
function validatorOf(headers: Record<string, string | string[] | undefined>): string | undefined {
  const etag = headers.etag;
  if (typeof etag === 'string' && !etag.startsWith('W/')) return etag;
  const modified = headers['last-modified'];
  return typeof modified === 'string' ? modified : undefined;
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  );
}

async function proxyAgents(): Promise<object> {
  const wanted = ['http_proxy', 'https_proxy', 'all_proxy'];
  if (!Object.keys(process.env).some((key) => wanted.includes(key.toLowerCase()) && process.env[key])) return {};
  const { ProxyAgent } = await import('proxy-agent');
  const agent = new ProxyAgent();
  return { agent: { http: agent, https: agent } };
}

/** What a URL answers within so many milliseconds, whatever its status; undefined if it does not answer. */
export async function pageAt(url: string, ms: number): Promise<{ status: number; body: string } | undefined> {
  const { got } = await import('got');
  try {
    const { statusCode, body } = await got(url, {
      retry: { limit: 0 },
      throwHttpErrors: false,
      followRedirect: false,
      timeout: { request: ms },
    });
    return { status: statusCode, body };
  } catch {
    return undefined;
  }
}

/** What is rather read than cut off: bytes. */
const SHORT = 64 * 1024;

/** Certificates, as PEM. */
export interface Tls {
  /** Authorities to trust beside the usual ones. */
  readonly ca?: string | undefined;
  /** Who we are, to a server that asks. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface Request {
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH';
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks are taken once: `size` is how many bytes they have. */
  readonly body?: Uint8Array | { readonly chunks: AsyncIterable<Uint8Array>; readonly size: number };
  readonly tls?: Tls | undefined;
  readonly signal: AbortSignal;
  /** Milliseconds until the server must have begun to answer, once it has all that it is sent. */
  readonly patience: number;
  /** Milliseconds until all must be over, the body too. */
  readonly within?: number | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The body, to be read once. Ends with an error if the connection breaks off or stalls. */
  readonly chunks: AsyncIterable<Buffer>;
  /** All of the body; throws `NoAnswer` if it is larger than so many bytes. */
  bytes(limit: number): Promise<Buffer>;
  /** Must be called where the body is not read. */
  drop(): void;
}

/** A server did not answer, or broke off: in words. */
export class NoAnswer extends Error {}

/** A server was not done within the time that was given to it as a whole. */
export class TooLate extends NoAnswer {}

/**
 * One request of a protocol over HTTP, and what it is answered, whatever the status. Redirections are followed. Throws
 * `NoAnswer` where there is no answer, and `TooLate` where it was not over in time; nothing is tried twice.
 */
export async function exchange(url: string, request: Request): Promise<Reply> {
  const { method = 'GET', headers = {}, body, tls = {}, signal, patience, within } = request;
  const { got } = await import('got');
  const isWhole = body === undefined || body instanceof Uint8Array;
  const stream = got.stream(url, {
    method,
    retry: { limit: 0 },
    throwHttpErrors: false,
    decompress: false,
    timeout: {
      ...{ lookup: patience, connect: patience, secureConnect: patience, response: patience, socket: STALL },
      ...(within !== undefined && { request: within }),
    },
    headers: { ...headers, ...(isWhole ? {} : { 'content-length': String(body.size) }) },
    ...(isWhole
      ? body && { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength) }
      : { body: Readable.from(body.chunks, { objectMode: false }) }),
    https: {
      ...(tls.ca && { certificateAuthority: [...rootCertificates, tls.ca] }),
      ...(tls.cert && { certificate: tls.cert }),
      ...(tls.key && { key: tls.key }),
    },
    ...(await proxyAgents()),
    signal,
  });
  const noAnswer = (error: unknown): unknown => {
    if (signal.aborted) return signal.reason;
    if (error instanceof NoAnswer) return error;
    const { message, event } = error as Error & { readonly event?: unknown };
    return new (event === 'request' ? TooLate : NoAnswer)(message, { cause: error });
  };
  try {
    const response = await new Promise<{ statusCode: number; headers: Record<string, string | undefined> }>(
      (resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', reject);
      },
    );
    // What fails after this is told to who reads the body.
    stream.on('error', () => undefined);
    const chunks = (async function* () {
      try {
        for await (const chunk of stream) yield chunk as Buffer;
      } catch (error) {
        throw noAnswer(error);
      }
    })();
    return {
      status: response.statusCode,
      headers: response.headers,
      chunks,
      // A short rest is read, so that the connection can be used again.
      drop: () => {
        if (method === 'HEAD' || Number(response.headers['content-length'] ?? Infinity) <= SHORT) stream.resume();
        else stream.destroy();
      },
      bytes: async (limit) => {
        const parts: Buffer[] = [];
        let size = 0;
        for await (const chunk of chunks) {
          size += chunk.length;
          if (size > limit) throw new NoAnswer(`it answers with more than ${limit} bytes`);
          parts.push(chunk);
        }
        return Buffer.concat(parts);
      },
    };
  } catch (error) {
    stream.destroy();
    throw noAnswer(error);
  }
}
