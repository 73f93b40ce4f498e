import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { pieces } from './files.ts';

/** What is answered to who asks for a URL: a file, or why not. */
export type Answer = { readonly file: string; readonly size: number } | { readonly refusal: string };

/** A proxy for who has no network but a Unix socket. */
export interface ProxyServer extends AsyncDisposable {
  /** The folder with the socket and the forwarder. */
  readonly folder: string;
}

/** The port at which those behind it find a proxy, where it is forwarded to them. */
export const PROXY_PORT = 3128;

/** What tells programs of a proxy at an address. */
export function proxyVariables(address: string): Readonly<Record<string, string>> {
  const url = `http://${address}:${PROXY_PORT}`;
  return { http_proxy: url, https_proxy: url };
}

const SOCKET = 'proxy.sock';
const FORWARDER = 'forward.cjs';

/**
 * Joins connections to the socket beside it: those to a port, which it tells by a file as soon as it listens, or else the
 * one that its input is.
 */
const FORWARD = `const net = require('node:net');
const socket = require('node:path').join(__dirname, '${SOCKET}');
const [port, ready] = process.argv.slice(2);
const join = (one, other) => {
  one.pipe(other).pipe(one);
  for (const each of [one, other]) each.on('error', () => { one.destroy(); other.destroy(); });
};
if (port === undefined) join(new net.Socket({ fd: 0 }), net.connect(socket));
else net.createServer((client) => join(client, net.connect(socket)))
  .listen(Number(port), '127.0.0.1', () => require('node:fs').writeFileSync(ready, ''));
`;

/** The command whose input is one connection of somebody else's, as words. */
export function forwardCommand(folder: string): string[] {
  return [process.execPath, forwarderIn(folder)];
}

/** The file of the forwarder, in the proxy's folder, wherever that is seen. */
export function forwarderIn(folder: string): string {
  return path.join(folder, FORWARDER);
}

/** Starts a proxy for GET and HEAD of http: URLs, in a folder whose path is short enough for a socket. */
export async function startProxy(folder: string, ask: (url: string) => Promise<Answer>): Promise<ProxyServer> {
  writeFileSync(path.join(folder, FORWARDER), FORWARD);
  const server = createServer((request, response) => {
    void answer(request, response, ask).catch(() => response.destroy());
  });
  // What goes through a tunnel is seen by nobody, and so pinned by nobody.
  server.on('connect', (request, socket) => {
    void ask(`https://${request.url}`).then((found) => {
      const text = 'refusal' in found ? found.refusal : 'ask for it by http:';
      socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${text}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path.join(folder, SOCKET), resolve);
  });
  return {
    folder,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  { method = 'GET', url = '' }: IncomingMessage,
  response: ServerResponse,
  ask: (url: string) => Promise<Answer>,
): Promise<void> {
  const isAsked = (method === 'GET' || method === 'HEAD') && url.startsWith('http://');
  const found: Answer = isAsked ? await ask(url) : { refusal: `${method} ${url}: only GET of http: URLs is passed on` };
  if ('refusal' in found) {
    response.writeHead(502, { 'content-type': 'text/plain' }).end(`${found.refusal}\n`);
    return;
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': found.size });
  if (method === 'GET') {
    for await (const piece of pieces(found.file)) {
      if (!response.write(piece))
        await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
      if (response.destroyed) return;
    }
  }
  response.end();
}
