import type { Event } from '../model/event.ts';
import { bytes, duration } from '../model/words.ts';
import type { Reporter } from './reporter.ts';
import { sentence } from './sentences.ts';
import { styleFor } from './style.ts';

const REDRAW_MS = 80;
const BAR = 20;
const NEWLINE = 10;

interface Active {
  readonly started: number;
  done: number;
  total: number | undefined;
}

/** What is over as lines that stay, and below them, redrawn in place, the steps that are working. */
export function liveReporter(out: NodeJS.WriteStream, notes: NodeJS.WriteStream, cwd: string): Reporter {
  const style = styleFor(notes);
  const active = new Map<string, Active>();
  let drawn = 0;
  /** Whether the guest has left its last line open. */
  let isMidLine = false;
  let timer: NodeJS.Timeout | undefined;

  const erase = () => {
    if (drawn > 0) notes.write(`\x1b[${drawn}A\x1b[0J`);
    drawn = 0;
  };
  const draw = () => {
    erase();
    const rows = [...active].slice(0, Math.max(1, (notes.rows ?? 24) - 2)).map(([step, state]) => row(step, state));
    if (rows.length > 0) notes.write(`${rows.join('\n')}\n`);
    drawn = rows.length;
  };
  const row = (step: string, { started, done, total }: Active) => {
    const right =
      total === undefined ? (done > 0 ? bytes(done) : '') : `${bar(done / total)} ${bytes(done)} of ${bytes(total)}`;
    const time = duration(performance.now() - started);
    const room = (notes.columns ?? 80) - right.length - time.length - 6;
    const name = step.length > room ? `…${step.slice(step.length - room + 1)}` : step;
    return `${style.cyan('·')} ${name} ${style.dim(`${right} ${time}`)}`;
  };
  const follow = (event: Event) => {
    if (event.type === 'step-started')
      active.set(event.step, { started: performance.now(), done: 0, total: undefined });
    if (event.type === 'step-finished' || event.type === 'step-failed') active.delete(event.step);
    if (event.type === 'step-progress') {
      const state = active.get(event.step) ?? { started: performance.now(), done: 0, total: undefined };
      state.done = event.done;
      state.total = event.total;
      active.set(event.step, state);
    }
    if (event.type === 'build-finished') active.clear();
  };

  return {
    report: (event) => {
      follow(event);
      if (event.type === 'vm-console') {
        erase();
        out.write(event.bytes);
        isMidLine = event.bytes.at(-1) !== NEWLINE;
        return;
      }
      const text = sentence(event, style, cwd);
      if (text !== undefined) {
        erase();
        // With the keyboard raw, a line feed alone does not lead back to the left.
        notes.write(`${isMidLine ? '\r\n' : ''}${text.replaceAll('\n', '\r\n')}\r\n`);
        isMidLine = false;
        draw();
      }
      if (active.size > 0) {
        timer ??= setInterval(draw, REDRAW_MS).unref();
      } else if (timer !== undefined) {
        clearInterval(timer);
        timer = undefined;
        erase();
      }
    },
    close: () => {
      clearInterval(timer);
      erase();
    },
  };
}

function bar(part: number): string {
  const filled = Math.round(Math.min(1, part) * BAR);
  return `${'━'.repeat(filled)}${'─'.repeat(BAR - filled)}`;
}
