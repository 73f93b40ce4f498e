import { request as ask } from 'node:http';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { Hub } from '../../web/hub.ts';
import { serveUi } from '../../web/server.ts';
import { Sandbox } from '../rig/sandbox.ts';

/** The server of smol ui, as somebody attacks it who may not come in, or who does not listen. */

async function server(t: ExecutionContext) {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: debian\n');
  const over = new AbortController();
  const caller = { folder: box.folder, signal: over.signal, emit: () => undefined };
  const ui = await serveUi(caller, { address: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    over.abort();
    await ui[Symbol.asyncDispose]();
  });
  const { port, searchParams } = new URL(ui.url);
  const token = searchParams.get('token')!;
  const call = (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
    new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      const request = ask({ host: '127.0.0.1', port, method, path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      });
      request.on('error', reject);
      request.end(body);
    });
  const cookie = `smol-${port}=${token}`;
  return { box, port: Number(port), token, cookie, call, own: `http://127.0.0.1:${port}` };
}

const JSON_TYPE = { 'content-type': 'application/json' };

test.serial(
  'who does not know the token sees nothing; who shows it once gets a cookie, and an address without it',
  async (t) => {
    const { call, token, cookie, port } = await server(t);
    for (const path of ['/', '/main.js', '/api/v1/machines', '/api/v1/events', '/api/v1/openapi.json']) {
      t.is((await call('GET', path)).status, 401, path);
    }
    t.is((await call('GET', `/?token=${token}x`)).status, 401);
    t.is((await call('GET', `/api/v1/machines?token=${token}`)).status, 401);
    const shown = await call('GET', `/?token=${token}`);
    t.is(shown.status, 303);
    t.is(shown.headers.location, '/');
    t.is(String(shown.headers['set-cookie']), `${cookie}; Path=/; HttpOnly; SameSite=Strict`);
    t.is((await call('GET', '/', { cookie })).status, 200);
    t.deepEqual(JSON.parse((await call('GET', '/api/v1/machines', { cookie })).text), []);
    t.is((await call('GET', '/api/v1/machines', { authorization: `Bearer ${token}` })).status, 200);
    t.is((await call('GET', '/', { cookie: `smol-${port}=` })).status, 401);
  },
);

test.serial('another page cannot drive it: by Origin, by a name of its own, by a form', async (t) => {
  const { call, cookie, own, port } = await server(t);
  const post = (headers: Record<string, string>, body = '{"services":["hello"]}') =>
    call('POST', '/api/v1/builds', { cookie, ...JSON_TYPE, ...headers }, body);
  t.is((await post({ origin: 'http://evil.test' })).status, 403);
  t.is((await post({ origin: `http://127.0.0.1:${port + 1}` })).status, 403);
  t.is((await post({})).status, 403);
  t.is((await post({ origin: own, 'content-type': 'text/plain' })).status, 415);
  // DNS rebinding: their name, our address.
  t.is((await post({ origin: 'http://evil.test', host: 'evil.test' })).status, 421);
  t.is((await call('GET', '/', { cookie, host: `evil.test:${port}` })).status, 421);
  // What changes something is no GET.
  for (const path of ['/machines/x/stop', '/machines/x/restart', '/builds/cancel']) {
    t.is((await call('GET', `/api/v1${path}`, { cookie })).status, 405, path);
  }
  t.deepEqual(JSON.parse((await call('GET', '/api/v1/builds', { cookie })).text), []);
  const page = await call('GET', '/', { cookie });
  t.regex(String(page.headers['content-security-policy']), /default-src 'self'.*frame-ancestors 'none'/);
  t.is(page.headers['x-content-type-options'], 'nosniff');
});

test.serial('a console is for this page alone', async (t) => {
  const { cookie, own, port } = await server(t);
  const code = (headers: Record<string, string>) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/machines/x/console`, { headers });
      socket.on('unexpected-response', (_, response) => resolve(response.statusCode!));
      socket.on('close', (closed) => resolve(closed));
      socket.on('error', () => undefined);
    });
  t.is(await code({ origin: own }), 401);
  t.is(await code({ cookie, origin: 'http://evil.test' }), 403);
  t.is(await code({ cookie }), 404);
  t.is(await code({ cookie, origin: own }), 1011, 'there is no such VM');
});

test.serial('names that lead elsewhere, and bodies that mean nothing', async (t) => {
  const { box, call, cookie, own } = await server(t);
  box.write('secret.txt', 'the secret');
  for (const path of [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/page/../../package.json',
    '/main.ts',
  ]) {
    const found = await call('GET', path, { cookie });
    t.is(found.status, 404, path);
    t.false(found.text.includes('secret'));
  }
  for (const path of ['/images/..%2f..%2fetc%2fpasswd/entries', '/services/%2e%2e/graph', '/machines/%00/log']) {
    t.is((await call('GET', `/api/v1${path}`, { cookie })).status, 404, path);
  }
  const post = async (path: string, body: string) => {
    const { status, text } = await call('POST', `/api/v1${path}`, { cookie, origin: own, ...JSON_TYPE }, body);
    return `${status} ${(JSON.parse(text) as { problems: { message: string }[] }).problems[0]!.message}`;
  };
  t.is(await post('/builds', '{'), '400 the body is no JSON');
  t.is(await post('/builds', '[]'), '400 the body is no object');
  t.is(await post('/builds', '{"service": "hello"}'), '400 "service" means nothing here');
  t.is(await post('/builds', '{"services": "hello"}'), '400 "services" must be a list of texts');
  t.is(await post('/machines', '{}'), '400 "service" is missing, or "name" with "kernel"');
  t.is(await post('/machines/nobody/stop', '{}'), '400 there is no VM "nobody"');
  t.regex(await post('/builds', `{"services": ["${'x'.repeat(70_000)}"]}`), /^400 the body has more than 65536 bytes/);
  const api = JSON.parse((await call('GET', '/api/v1/openapi.json', { cookie })).text) as { paths: object };
  t.true(Object.keys(api.paths).includes('/machines/{name}/stop'));
});

test.serial('who does not listen is left alone, and nobody else waits for him', async (t) => {
  const { port, cookie } = await server(t);
  const stalled = createConnection(port, '127.0.0.1');
  stalled.write(`GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`);
  await new Promise((resolve) => stalled.once('data', resolve));
  stalled.pause();
  stalled.on('error', () => undefined);
  // The hub itself, with one who reads and one who does not.
  const hub = new Hub();
  const listener = (waiting: () => number) => {
    const written: string[] = [];
    const state = { destroyed: false };
    const response = {
      writeHead: () => undefined,
      write: (text: string) => written.push(text),
      on: () => undefined,
      end: () => undefined,
      destroy: () => {
        state.destroyed = true;
      },
      get writableLength() {
        return waiting();
      },
    };
    hub.listen(response as never);
    return { written, state };
  };
  const good = listener(() => 0);
  const bad = listener(() => 100 * 1024 ** 2);
  for (let n = 0; n < 10_000; n++) hub.tell({ type: 'line', n });
  await sleep(200);
  const messages = good.written
    .slice(1)
    .flatMap((text) => JSON.parse(text.slice('data: '.length)) as { type: string; count?: number }[]);
  t.true(good.written.length < 10, 'lines travel together');
  const lost = messages.find(({ type }) => type === 'lost')?.count ?? 0;
  t.is(messages.filter(({ type }) => type === 'line').length + lost, 10_000);
  t.true(bad.state.destroyed);
  t.is(bad.written.length, 1);
  hub.close();
  stalled.destroy();
});

test.serial('at all addresses it is known by those of the host, and by no other name', async (t) => {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: debian\n');
  const caller = { folder: box.folder, signal: new AbortController().signal, emit: () => undefined };
  await using ui = await serveUi(caller, { address: '0.0.0.0', port: 0 });
  const { port, searchParams } = new URL(ui.url);
  const status = (host: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { host: `${host}:${port}`, authorization: `Bearer ${searchParams.get('token')}` };
      ask({ host: '127.0.0.1', port, path: '/api/v1/machines', headers }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      })
        .on('error', reject)
        .end();
    });
  t.is(await status('127.0.0.1'), 200);
  t.is(await status('evil.test'), 421);
});

test.serial('a port that somebody has, an address that is nobody here, a folder without a project', async (t) => {
  const { port, box } = await server(t);
  const told = async (...args: string[]) => box.told(await box.smol(['ui', ...args]));
  t.regex(
    await told('--port', `${port}`),
    /error\[port-busy\]: port \d+ is taken\n {2}fix: give another one with --port/,
  );
  t.regex(
    await told('--address', '192.0.2.7'),
    /error\[bad-address\]: 192\.0\.2\.7:0 cannot be listened on: EADDRNOTAVAIL/,
  );
  t.regex(await told('--port', '70000'), /error\[usage\]: there is no port 70000/);
  const { stderr, code } = await box.smol(['ui'], { cwd: '/' });
  t.is(code, 2);
  t.regex(stderr, /error\[no-project\]/);
});
