import { setMaxListeners } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageAt } from '../host/http.ts';
import type { Service } from '../model/manifest.ts';
import type { Forward } from './machine.ts';

/** When a service counts as up, as its manifest has it. */
export type Ready = NonNullable<NonNullable<Service['run']>['ready']>;

/** How long a service may take to answer where nobody says, in seconds. */
export const READY_SECONDS = 60;

/**
 * QEMU's user network accepts at once, whether or not the guest listens, and what was asked before it did gets its answer
 * late or never. So a new try begins while those before it still wait: readiness is noticed at most this much late.
 */
const BEAT_MS = 40;
const OPEN_TRIES = 8;
/** One of the tries is patient: a service may need long for each answer. */
const LONGEST_TRY_MS = 3000;
/** How much longer each next try waits, after one was left waiting: the patient one, and one of the others. */
const MORE_PATIENCE = 1.3;
const LESS_HASTE = 1 + 0.1 / OPEN_TRIES;
/** A question that costs a web server nothing (RFC 9110, section 9.3.7), and to which any other has something to say. */
const QUESTION = 'OPTIONS * HTTP/1.0\r\n\r\n';
/** Between two looks at a page that is not yet as it should be. */
const PAUSE_MS = 25;

/** The forward whose port is asked whether the service answers; undefined if it has no TCP port. */
export function askedOf(forwards: readonly Forward[], ready: Ready | undefined): Forward | undefined {
  return forwards.find(({ protocol, guest: port }) => protocol === 'tcp' && (ready?.port ?? port) === port);
}

/** Waits until a page answers as it should, or the signal is aborted. `isUp` as in `untilTcp`. */
export async function untilHttp(
  forward: Forward,
  url: string,
  isRight: (answer: { readonly status: number; readonly body: string }) => boolean,
  signal: AbortSignal,
  isUp: () => boolean,
): Promise<void> {
  // What asks for pages takes long to load: it does so while the guest boots.
  void pageAt(url, BEAT_MS);
  while (!signal.aborted) {
    await untilTcp(forward, signal, isUp);
    const answer = await pageAt(url, LONGEST_TRY_MS);
    if (answer !== undefined && isRight(answer)) return;
    await pause(PAUSE_MS, signal);
  }
}

/**
 * Waits until the service behind a port says anything, on its own or to a question, or the signal is aborted. That the
 * port takes a connection says nothing: QEMU does so before the guest has a network. Once the guest `isUp`, who gives no
 * answer is asked less and less often: on a busy host, the questions would be all that it has time for.
 */
export async function untilTcp(forward: Forward, signal: AbortSignal, isUp: () => boolean): Promise<void> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  setMaxListeners(0, stop); // each try listens
  let haste = OPEN_TRIES * BEAT_MS;
  let patience = haste;
  const tries = async (first: number, limitOf: () => number) => {
    for (await pause(first, stop); !stop.aborted; ) {
      const limit = limitOf();
      const next = pause(Math.min(limit, haste), stop);
      const answer = await ask(forward, limit, stop);
      if (answer === 'spoke') over.abort();
      if (answer === 'silent' && isUp()) haste = Math.min(haste * LESS_HASTE, LONGEST_TRY_MS);
      await next;
    }
  };
  const patient = () => {
    patience = Math.min(patience * MORE_PATIENCE, LONGEST_TRY_MS);
    return patience;
  };
  const hasty = Array.from({ length: OPEN_TRIES }, (_, n) => tries(n * BEAT_MS, () => haste));
  await Promise.all([...hasty, tries(0, patient)]);
}

type Answer = 'spoke' | 'silent' | 'closed';

/** Whether who listens says anything within so many milliseconds; a connection that is refused is closed. */
function ask({ host, address }: Forward, ms: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ port: host, host: address, signal }, () => socket.write(QUESTION));
    const done = (answer: Answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ms, () => done('silent'));
    socket.once('data', () => done('spoke'));
    socket.once('error', () => done('closed'));
    socket.once('close', () => done('closed'));
  });
}

/** Ends early, and quietly, when the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
