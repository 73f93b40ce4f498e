import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { compressed, ETC, type Member, RESCUE, sha512, tarOf } from './archives.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A real HTTP server on loopback, laid out like a mirror of NetBSD where asked to be. */
export class Mirror {
  readonly requests: { path: string; range: string | undefined }[] = [];
  readonly #routes = new Map<string, Buffer | Handler>();
  readonly #server = createServer((request, response) => this.#answer(request, response));

  static async start(t: ExecutionContext<unknown>): Promise<Mirror> {
    const mirror = new Mirror();
    await new Promise<void>((resolve) => mirror.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      mirror.#server.closeAllConnections();
      mirror.#server.close();
    });
    return mirror;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  serve(path: string, what: Buffer | string | Handler): void {
    this.#routes.set(path, typeof what === 'string' ? Buffer.from(what) : what);
  }

  /** Sets in a folder, with the SHA512 file that NetBSD's mirrors have beside them. */
  async serveSets(folder: string, ending: 'tgz' | 'tar.xz', sets: Record<string, readonly Member[]>): Promise<void> {
    const sums: string[] = [];
    for (const [name, members] of Object.entries(sets)) {
      const bytes = compressed(await tarOf(members), ending);
      this.serve(`${folder}/${name}.${ending}`, bytes);
      sums.push(`SHA512 (${name}.${ending}) = ${sha512(bytes)}`);
    }
    this.serve(`${folder}/SHA512`, `${sums.join('\n')}\n`);
  }

  /** What the default catalogues need for all architectures: the mirrors: setting that leads here. */
  async serveNetbsd(sets: Record<string, readonly Member[]> = { rescue: RESCUE, etc: ETC }): Promise<string> {
    const daily = '/pub/NetBSD-daily/netbsd-11/latest';
    await this.serveSets(`${daily}/amd64/binary/sets`, 'tar.xz', sets);
    await this.serveSets(`${daily}/i386/binary/sets`, 'tgz', sets);
    await this.serveSets(`${daily}/evbarm-aarch64/binary/sets`, 'tar.xz', sets);
    await this.serveSets('/pub/NetBSD/NetBSD-10.1/amd64/binary/sets', 'tar.xz', sets);
    await this.serveSets('/pub/NetBSD-daily/HEAD/latest/i386/binary/sets', 'tgz', sets);
    const kernel = Buffer.from('a kernel of the test rig\n'.repeat(100));
    this.serve('/assets/netbsd-SMOL', kernel);
    this.serve('/assets/netbsd-SMOL.sha256', `${sha256(kernel)}  netbsd-SMOL\n`);
    this.serve('/assets/netbsd-SMOL386', kernel);
    this.serve('/assets/netbsd-SMOL386.sha256', `${sha256(kernel)}\n`);
    const { gzipSync } = await import('node:zlib');
    const packed = gzipSync(kernel);
    this.serve(`${daily}/evbarm-aarch64/binary/kernel/netbsd-GENERIC64.img.gz`, packed);
    this.serve(
      `${daily}/evbarm-aarch64/binary/kernel/SHA512`,
      `SHA512 (netbsd-GENERIC64.img.gz) = ${sha512(packed)}\n`,
    );
    return `mirrors:
  https://nycdn.netbsd.org/: ${this.url}/
  https://cdn.netbsd.org/: ${this.url}/
  https://smolbsd.org/: ${this.url}/
`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    const { range } = request.headers;
    this.requests.push({ path, range });
    const found = this.#routes.get(path);
    if (found === undefined) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<!DOCTYPE html><title>404 Not Found</title>');
    } else if (typeof found === 'function') {
      found(request, response);
    } else {
      answerBytes(found, range, response);
    }
  }
}

/** Answers with bytes, or with the part of them that a range asks for. */
export function answerBytes(bytes: Buffer, range: string | undefined, response: ServerResponse): void {
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const part = bytes.subarray(start);
  const headers = { 'content-length': part.length, etag: `"${sha512(bytes).slice(0, 16)}"` };
  if (start > 0)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
  else response.writeHead(200, headers);
  response.end(part);
}
