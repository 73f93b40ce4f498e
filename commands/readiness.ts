import * as problems from '../model/problems.ts';
import { GUESTS } from '../vm/guests.ts';
import type { RunningVm } from '../vm/launch.ts';
import type { Forward } from '../vm/machine.ts';
import { askedOf, READY_SECONDS, untilHttp, untilTcp } from '../vm/ready.ts';
import type { Runnable } from '../vm/runnable.ts';

/** Settles when the service answers or the signal is aborted; throws how the guest failed. */
export async function untilReady(
  vm: RunningVm,
  target: Pick<Runnable, 'guest' | 'run'>,
  forwards: readonly Forward[],
  wished: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const guest = GUESTS[target.guest];
  const { ready } = target.run;
  const seconds = wished ?? ready?.timeout ?? READY_SECONDS;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const timer = setTimeout(() => over.abort(), seconds * 1000);
  const forward = askedOf(forwards, ready);
  const url = pageOf(target, forwards);
  const words = ready?.console;
  const what =
    url ??
    (words ? `with "${words}" on its console` : forward ? `on port ${forward.host}` : 'by starting its first program');

  const answered = async () => {
    const { status: wanted, body } = ready ?? {};
    const isRight = (answer: { status: number; body: string }) =>
      (wanted === undefined ? answer.status < 400 : answer.status === wanted) &&
      (body === undefined || new RegExp(body, 'm').test(answer.body));
    const isUp = () => vm.clocks.userland !== undefined;
    if (forward && url) await untilHttp(forward, url, isRight, stop, isUp);
    else if (words !== undefined) await untilConsole(vm, () => new RegExp(words, 'm').test(vm.tail(1000)), stop);
    else if (forward) await untilTcp(forward, stop, isUp);
    else await untilConsole(vm, isUp, stop);
  };
  const panic = () => {
    const line = vm.lastWords(guest.panic);
    return line && problems.guestPanicked(vm.name, line, vm.around(line));
  };
  let watch = () => undefined as unknown;
  const panicked = new Promise<never>((_, reject) => {
    // What follows the line is part of the story: a moment for it to arrive.
    watch = () => panic() && setTimeout(() => reject(panic()), 200);
    vm.on('console', watch);
  });
  const ended = vm.ended.then((how) => {
    throw (
      panic() ||
      problems.guestExited(
        vm.name,
        typeof how === 'number' ? `QEMU exited with ${how}` : `QEMU was ended by ${how}`,
        vm.tail(),
      )
    );
  });
  try {
    await Promise.race([answered(), panicked, ended]);
    if (over.signal.aborted) throw problems.guestSilent(vm.name, seconds, what, vm.tail());
  } finally {
    clearTimeout(timer);
    vm.off('console', watch);
    over.abort();
  }
}

/** The page that a service answers with, if it is asked for one. */
export function pageOf(runnable: Pick<Runnable, 'run'>, forwards: readonly Forward[]): string | undefined {
  const forward = askedOf(forwards, runnable.run.ready);
  const { http } = runnable.run.ready ?? {};
  return forward && http && `http://${forward.address}:${forward.host}${http}`;
}

async function untilConsole(vm: RunningVm, isSeen: () => boolean, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = () => {
      if (!signal.aborted && !isSeen()) return;
      vm.off('console', check);
      resolve();
    };
    vm.on('console', check);
    signal.addEventListener('abort', check);
    check();
  });
}
