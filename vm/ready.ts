import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageAt } from '../host/http.ts';
import type { Forward } from './machine.ts';

/** QEMU's user network accepts at once, whether or not the guest listens: so the first tries are short, later ones longer. */
const TRY_MS = 300;
const LONGEST_TRY_MS = 3000;
/** Between tries. Readiness is noticed at most this much late. */
const PAUSE_MS = 25;

/** Waits until a page answers as it should, or the signal is aborted. */
export async function untilHttp(
  url: string,
  isRight: (answer: { readonly status: number; readonly body: string }) => boolean,
  signal: AbortSignal,
): Promise<void> {
  let limit = TRY_MS;
  await until(async () => {
    const answer = await pageAt(url, limit);
    limit = Math.min(limit * 1.3, LONGEST_TRY_MS);
    return answer !== undefined && isRight(answer);
  }, signal);
}

/**
 * Waits until the service behind a port says anything, on its own or to a question, or the signal is aborted. That the
 * port takes a connection says nothing: QEMU does so before the guest has a network.
 */
export async function untilTcp(forward: Forward, signal: AbortSignal): Promise<void> {
  let limit = TRY_MS;
  await until(async () => {
    const answered = await speaks(forward, limit);
    limit = Math.min(limit * 1.3, LONGEST_TRY_MS);
    return answered;
  }, signal);
}

function speaks({ host, address }: Forward, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(host, address, () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ms, () => done(false));
    socket.once('data', () => done(true));
    socket.once('error', () => done(false));
    socket.once('close', () => done(false));
  });
}

async function until(attempt: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await attempt())) await sleep(PAUSE_MS);
}
