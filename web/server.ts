import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { Caller } from '../commands/session.ts';
import { packageRoot, packageVersion } from '../host/paths.ts';
import { Project } from '../manifest/project.ts';
import { type Problem, problemsOf } from '../model/problem.ts';
import { badAddress, badRequest, pagePortBusy } from '../model/problems.ts';
import { type Api, bodyFor, openApi, routeFor } from './api.ts';
import { Builds } from './builds.ts';
import { Consoles } from './consoles.ts';
import { type Door, isToken, type Refusal, refusalOf } from './guard.ts';
import { Hub } from './hub.ts';

export interface UiOptions {
  readonly address: string;
  /** 0: any that is free. */
  readonly port: number;
}

const API = '/api/v1';
const LARGEST_BODY = 64 * 1024;
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** Nothing of anybody else's: no script, no style, no frame around the page. */
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/**
 * The web manager of a project: a page, and the API that it uses. Gives its address, with the token that lets in. Throws
 * `no-project`, `port-busy` and `bad-address`.
 */
export async function serveUi(caller: Caller, options: UiOptions): Promise<{ url: string } & AsyncDisposable> {
  const { address } = options;
  await Project.find(caller.folder);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      reject(code === 'EADDRINUSE' ? pagePortBusy(options.port) : badAddress(`${address}:${options.port}`, code));
    });
    server.listen(options.port, address, resolve);
  });
  const { port } = server.address() as { port: number };
  const names = namesOf(address);
  const token = randomBytes(24).toString('base64url');
  const door: Door = { hosts: names.map((name) => `${name}:${port}`), token, cookie: `smol-${port}` };
  const hub = new Hub();
  const tell = (message: unknown) => hub.tell(message);
  const api: Api = { caller, builds: new Builds(caller, tell), tell };
  const consoles = new Consoles(caller);

  server.on('request', (request, response) => {
    void answer(request, response, { door, hub, api }).catch((error: unknown) => fail(response, error));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const refusal = refusalOf({ method: 'GET', headers: request.headers }, door);
    const vm = new RegExp(`^${API}/machines/([\\w.-]+)/console$`).exec(request.url ?? '')?.[1];
    // A page that says of itself where it comes from, and comes from here.
    if (refusal !== undefined || vm === undefined || request.headers.origin === undefined) {
      socket.end(`HTTP/1.1 ${refusal?.status ?? 404} Refused\r\nConnection: close\r\n\r\n`);
    } else consoles.take(request, socket, head, vm);
  });
  return {
    url: `http://${door.hosts[0]}/?token=${token}`,
    [Symbol.asyncDispose]: async () => {
      api.builds.cancel();
      hub.close();
      consoles.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What a server that listens on an address is called by who reaches it; the first name is the one to print. */
function namesOf(address: string): string[] {
  const inUrl = (each: string) => (each.includes(':') ? `[${each}]` : each);
  if (address === '127.0.0.1' || address === '::1') return [inUrl(address), 'localhost'];
  if (address !== '0.0.0.0' && address !== '::') return [inUrl(address)];
  const own = Object.values(os.networkInterfaces()).flatMap((each) => each ?? []);
  const outer = own.filter(({ internal }) => !internal).map((each) => inUrl(each.address));
  return [...outer, os.hostname(), '127.0.0.1', 'localhost'];
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { door, hub, api }: { door: Door; hub: Hub; api: Api },
): Promise<void> {
  const { method = 'GET', headers } = request;
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  const url = new URL(request.url ?? '/', 'http://here');
  const token = url.searchParams.get('token');
  // The address that was printed is shown once: from then on a cookie has the token, and no history.
  if (url.pathname === '/' && token !== null && door.hosts.includes(headers.host ?? '') && isToken(token, door)) {
    const cookie = `${door.cookie}=${token}; Path=/; HttpOnly; SameSite=Strict`;
    response.writeHead(303, { location: '/', 'set-cookie': cookie }).end();
    return;
  }
  const refusal = refusalOf({ method, headers }, door);
  if (refusal !== undefined) return refuse(response, refusal);
  if (url.pathname === `${API}/events`) return hub.listen(response);
  if (url.pathname === `${API}/openapi.json`) return send(response, 200, openApi(packageVersion()));
  if (!url.pathname.startsWith(`${API}/`)) return sendPage(response, url.pathname);
  const found = routeFor(method, url.pathname.slice(API.length));
  if (found === undefined) return refuse(response, { status: 404, message: 'there is nothing here' });
  if ('allowed' in found) {
    response.setHeader('allow', found.allowed.join(', '));
    return refuse(response, { status: 405, message: `only ${found.allowed.join(', ')}` });
  }
  const body = bodyFor(found.route, await textOf(request));
  const result = await found.route.run(api, { names: found.names, query: url.searchParams, body });
  send(response, 200, result ?? {});
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > LARGEST_BODY) throw badRequest(`the body has more than ${LARGEST_BODY} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The page's own files lie in one folder, beside the program. */
async function sendPage(response: ServerResponse, name: string): Promise<void> {
  const file = name === '/' ? 'index.html' : name.slice(1);
  const type = TYPES[path.extname(file)];
  const bytes =
    type !== undefined && /^[\w-]+(\.[\w-]+)+$/.test(file)
      ? await readFile(path.join(packageRoot(), 'build', 'smol', 'page', file)).catch(() => undefined)
      : undefined;
  if (bytes === undefined) return refuse(response, { status: 404, message: 'there is nothing here' });
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length, 'cache-control': 'no-cache' });
  response.end(bytes);
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, { status, message }: Refusal): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${message}\n`);
}

/** What a user can mend is told as it is; anything else is ours. */
function fail(response: ServerResponse, error: unknown): void {
  const problems: readonly Problem[] = problemsOf(error);
  if (response.headersSent) response.destroy();
  else if (problems.length > 0) send(response, 400, { problems });
  else send(response, 500, { problems: [{ code: 'bug', message: String((error as Error).stack ?? error) }] });
}
