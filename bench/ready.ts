import { createServer } from 'node:net';
import { untilTcp } from '../vm/ready.ts';
import { medianHere, type Row, tell } from './rig.ts';

/**
 * How late it is noticed that a service answers. As QEMU's user network does, the server takes every connection at once, and
 * answers only those that were opened after its moment came.
 */
export async function measure(): Promise<void> {
  const rows: Row[] = [];
  for (const after of [100, 1000, 2500]) {
    const late: number[] = [];
    await medianHere(async () => {
      const from = performance.now() + after + Math.random() * 200;
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        if (performance.now() >= from) socket.end('ready\r\n');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      const forward = { protocol: 'tcp', address: '127.0.0.1', host: port, guest: 80 } as const;
      await untilTcp(forward, new AbortController().signal, () => performance.now() >= from);
      late.push(performance.now() - from);
      server.close();
    });
    late.sort((a, b) => a - b);
    const measured = { ms: late[Math.floor(late.length / 2)]! };
    rows.push({
      way: `a service that answers after ${after} ms`,
      measured,
      told: `at most ${late.at(-1)!.toFixed(0)} ms`,
    });
  }
  tell('From the first moment at which a service would answer until that is noticed', rows);
}
