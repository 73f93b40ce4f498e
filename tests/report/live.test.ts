import xterm from '@xterm/headless';
import test from 'ava';
import type { Event } from '../../model/event.ts';
import { Problem } from '../../model/problem.ts';
import { liveReporter } from '../../report/live.ts';

/** A real terminal emulator behind the reporter: what counts is what a person sees. */
class Screen {
  readonly terminal = new xterm.Terminal({ cols: 70, rows: 12, allowProposedApi: true, convertEol: true });
  readonly stream = {
    isTTY: true,
    columns: 70,
    rows: 12,
    write: (data: string | Uint8Array) => {
      this.terminal.write(data);
      return true;
    },
  } as unknown as NodeJS.WriteStream;

  async lines(): Promise<string[]> {
    await new Promise<void>((resolve) => this.terminal.write('', resolve));
    const { active } = this.terminal.buffer;
    const lines = Array.from({ length: active.length }, (_, n) => active.getLine(n)!.translateToString(true));
    return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
  }
}

const finished = (step: string): Event => ({
  type: 'step-finished',
  step,
  kind: 'fetch',
  cached: false,
  ms: 1234,
  key: 'k',
  digest: 'd',
  size: 5_000_000,
  inputs: [],
});

test.serial('steps that work are drawn in place, those that are over stay', async (t) => {
  const screen = new Screen();
  const reporter = liveReporter(screen.stream, screen.stream, '/p');
  reporter.report({ type: 'step-started', step: 'fetch one', kind: 'fetch' });
  reporter.report({ type: 'step-progress', step: 'fetch one', done: 2_500_000, total: 5_000_000 });
  reporter.report({ type: 'step-started', step: 'unpack two', kind: 'unpack' });
  await new Promise((resolve) => setTimeout(resolve, 250));
  const drawn = await screen.lines();
  t.is(drawn.length, 2);
  t.regex(drawn[0]!, /^· fetch one ━{10}─{10} 2\.4 MiB of 4\.8 MiB \d+ ms$/);
  t.regex(drawn[1]!, /^· unpack two +\d+ ms$/);

  reporter.report(finished('fetch one'));
  const next = await screen.lines();
  t.is(next[0], '✓ fetch one 4.8 MiB, 1.2 s');
  t.regex(next[1]!, /^· unpack two/);
  t.is(next.length, 2);

  reporter.report(finished('unpack two'));
  reporter.report({ type: 'problem', problem: new Problem({ code: 'c', kind: 'step', message: 'm', fix: 'f' }) });
  reporter.close();
  t.deepEqual(await screen.lines(), [
    '✓ fetch one 4.8 MiB, 1.2 s',
    '✓ unpack two 4.8 MiB, 1.2 s',
    'error[c]: m',
    '  fix: f',
  ]);
});

test.serial('a name that is too long for the line is cut at its front', async (t) => {
  const screen = new Screen();
  const reporter = liveReporter(screen.stream, screen.stream, '/p');
  reporter.report({ type: 'step-started', step: `fetch https://${'long/'.repeat(30)}base.tar.xz`, kind: 'fetch' });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const lines = await screen.lines();
  t.is(lines.length, 1);
  t.regex(lines[0]!, /^· ….*long\/base\.tar\.xz +\d+ ms$/);
  reporter.close();
  t.deepEqual(await screen.lines(), []);
});
