import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { Forward } from '../../vm/machine.ts';
import { untilHttp, untilTcp } from '../../vm/ready.ts';

/** A server on loopback that is given each connection. */
async function serve(t: ExecutionContext, answer: (socket: Socket) => void): Promise<Forward> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  return { protocol: 'tcp', address: '127.0.0.1', host: port, guest: 80 };
}

const never = new AbortController().signal;
const isUp = () => true;

test('a service is asked again while earlier questions still wait, as QEMU lets them', async (t) => {
  const open = new Set<Socket>();
  const forward = await serve(t, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    // What was asked before the guest listened is never answered.
    if (open.size === 4) socket.write('SSH-2.0-here\r\n');
  });
  await untilTcp(forward, never, isUp);
  t.pass();
});

test('a service that takes its time for each answer', async (t) => {
  const forward = await serve(t, (socket) => setTimeout(() => socket.end('late\r\n'), 1200));
  await untilTcp(forward, never, isUp);
  t.pass();
});

test('a guest that has more questions than it can answer is asked less', async (t) => {
  // Each question takes its time, one after the other, also those that nobody waits for any more.
  const each = 60;
  let free = performance.now() + 1000;
  const forward = await serve(t, (socket) => {
    free = Math.max(free, performance.now()) + each;
    setTimeout(() => socket.end('at last\r\n'), free - performance.now());
  });
  const patience = AbortSignal.timeout(30_000);
  await untilTcp(forward, patience, isUp);
  t.false(patience.aborted);
});

test('a page that is not yet as it should be', async (t) => {
  let asked = 0;
  const forward = await serve(t, (socket) =>
    socket.once('data', (question) => {
      const isPage = question.toString().startsWith('GET /health ');
      if (isPage) asked++;
      const status = asked < 3 ? '503 Service Unavailable' : '200 OK';
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`);
    }),
  );
  const seen: number[] = [];
  const isRight = ({ status, body }: { status: number; body: string }) => {
    seen.push(status);
    return status === 200 && body === 'ok';
  };
  await untilHttp(forward, `http://127.0.0.1:${forward.host}/health`, isRight, never, isUp);
  t.is(seen.at(-1), 200);
  t.true(seen.includes(503));
});

test('waiting ends when it is told to', async (t) => {
  const forward = await serve(t, () => undefined);
  await untilTcp(forward, AbortSignal.timeout(300), isUp);
  await untilHttp(forward, `http://127.0.0.1:${forward.host}/`, () => true, AbortSignal.timeout(300), isUp);
  t.pass();
});
