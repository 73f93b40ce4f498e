import { once } from 'node:events';
import { asProblem } from '../host/files.ts';
import { EXIT_CODES, problemsOf } from '../model/problem.ts';
import { renderBug } from '../report/diagnostic.ts';
import { githubReporter } from '../report/github.ts';
import { jsonReporter } from '../report/json.ts';
import { linesReporter } from '../report/lines.ts';
import { liveReporter } from '../report/live.ts';
import type { Reporter } from '../report/reporter.ts';
import { styleFor } from '../report/style.ts';
import { terseReporter } from '../report/terse.ts';
import type { Context } from './context.ts';
import { program } from './program.ts';

/** The exit code of who was interrupted: 128 + SIGINT. */
const INTERRUPTED = 130;
const SAME_SIGNAL_MS = 200;
const BUG = 70; // sysexits(3): EX_SOFTWARE

/** Whether any step ran. Then V8 compiled what later builds need too: scripts/entry.cjs asks. */
export let hasWorked = false;

/** Runs one command line. Gives the exit code; see EXIT_CODES for those of mistakes. */
export async function main(args: readonly string[]): Promise<number> {
  const { stdout, stderr } = process;
  const interrupt = new AbortController();
  let reporter: Reporter | undefined;
  let interrupted = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    // The first asks everything to end well, the second does not wait for it. timeout(1) sends each twice, at once.
    if (Date.now() - interrupted > SAME_SIGNAL_MS) process.exit(INTERRUPTED);
    interrupted = Math.min(interrupted, Date.now());
    interrupt.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const context: Context = {
    interrupt: onSignal,
    exitCode: 0,
    caller: {
      folder: process.cwd(),
      signal: interrupt.signal,
      emit: (event) => {
        hasWorked ||= event.type === 'step-started';
        reporter?.report(event);
      },
    },
    print: (text) => stdout.write(`${text}\n`),
    write: async (bytes) => {
      if (!stdout.write(bytes)) await once(stdout, 'drain', { signal: interrupt.signal });
    },
    tellAs: ({ json, watch }) => {
      const plain = json ? jsonReporter(stdout) : reporterForPeople();
      reporter = watch && !json ? terseReporter(plain) : plain;
    },
  };
  context.tellAs({});
  try {
    await program(context, args[0]).parseAsync(args, { from: 'user' });
    reporter?.close();
    return interrupt.signal.aborted ? INTERRUPTED : context.exitCode;
  } catch (error) {
    reporter?.close();
    if (interrupt.signal.aborted) return INTERRUPTED;
    if (isCommanderExit(error)) return error.exitCode === 0 ? 0 : EXIT_CODES.usage;
    const problems = problemsOf(asProblem(error, (error as NodeJS.ErrnoException)?.path ?? 'a file'));
    for (const problem of problems) reporter?.report({ type: 'problem', problem });
    if (problems.length === 0) stderr.write(`${renderBug(error, styleFor(stderr))}\n`);
    return problems[0]?.exitCode ?? BUG;
  }
}

/** What suits where the output goes: a terminal, a log, the log of GitHub's CI. */
function reporterForPeople(): Reporter {
  const { stdout, stderr, env } = process;
  const cwd = process.cwd();
  if (stderr.isTTY && stdout.isTTY) return liveReporter(stdout, stderr, cwd);
  const lines = linesReporter(stdout, stderr, cwd);
  return env.GITHUB_ACTIONS === 'true' ? githubReporter(lines, stdout, cwd, env.GITHUB_STEP_SUMMARY) : lines;
}

/** commander has written what it had to say, and ends with this. */
function isCommanderExit(error: unknown): error is { exitCode: number } {
  return String((error as NodeJS.ErrnoException)?.code).startsWith('commander.');
}

void main(process.argv.slice(2)).then((code) => {
  // Handles that libraries leave open must not keep a finished command alive.
  process.exit(code);
});
