import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Options as ZxOptions } from 'zx/core';
import { programFailed } from '../model/problems.ts';

/** Programs of the host. The only file that starts any. */

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment; by default this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** Files for standard input and output. A program writing to a file is faster than one writing to a pipe of ours. */
  readonly stdin?: string;
  readonly stdout?: string;
  /** What it reads on its standard input, in place of a file: nothing secret, since it is on a command line for a moment. */
  readonly input?: string;
  /** The largest file that it may write, in bytes: it is ended when one becomes larger. */
  readonly fileLimit?: number;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** POSIX quoting (sh(1)); zx's own needs bash. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** zx with sh(1) and its quoting, saying nothing by itself. */
async function shell(options: Partial<ZxOptions>) {
  const { $ } = await import('zx/core');
  return $({ shell: '/bin/sh', prefix: '', quote, quiet: true, verbose: false, nothrow: true, ...options });
}

/** Runs a program to its end, whatever its exit code. Rejects if the signal is aborted; the program is then ended. */
export async function attempt(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  options.signal?.throwIfAborted();
  const command = await shell({
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    ...(options.cwd && { cwd: options.cwd }),
    ...(options.signal && { signal: options.signal }),
  });
  const words = [program, ...args];
  const from = options.stdin ?? '/dev/null';
  // `exec` makes the process zx started, and ends, the program itself.
  // sh(1) counts in blocks of 512 bytes.
  const limit = options.fileLimit === undefined ? 'unlimited' : String(Math.ceil(options.fileLimit / 512));
  const output = await (options.input !== undefined
    ? // By sh(1): a program that ends without reading it harms nobody then.
      command`ulimit -f ${limit}; printf %s ${options.input} | ${words}`
    : options.stdout === undefined
      ? command`ulimit -f ${limit}; exec ${words} < ${from}`
      : command`ulimit -f ${limit}; exec ${words} < ${from} > ${options.stdout}`);
  options.signal?.throwIfAborted();
  return { code: output.exitCode, stdout: output.stdout, stderr: output.stderr };
}

/** Runs a program and gives what it wrote. Throws the problem `program-failed` unless it exits with 0. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await attempt(program, args, options);
  if (outcome.code !== 0) throw programFailed([path.basename(program), ...args].join(' '), outcome.stderr.trim());
  return outcome.stdout;
}

/**
 * Runs a program to its end and gives each line that it writes, to whichever of its outputs, as it comes. Gives its exit code.
 * Rejects if the signal is aborted; the program is then told to end.
 */
export async function follow(
  program: string,
  args: readonly string[],
  { cwd, signal, line }: { readonly cwd: string; readonly signal: AbortSignal; readonly line: (text: string) => void },
): Promise<number | null> {
  signal.throwIfAborted();
  const words = [program, ...args];
  const command = (await shell({ cwd, signal }))`exec ${words} 2>&1 < /dev/null`;
  for await (const text of command) line(text);
  const { exitCode } = await command;
  signal.throwIfAborted();
  return exitCode;
}

/** Runs a program with this process's own input, output and terminal. Gives its exit code. */
export async function interact(program: string, args: readonly string[]): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/**
 * Starts a program that outlives this process, in a process group of its own, writing to a log file. Gives its pid, a
 * promise of its end (exit code, or the name of the signal), and what lets this process end before it. With `diesWithUs` it is
 * killed as soon as this process is gone, by whatever means, where setpriv(1) can have the kernel do so.
 */
export function startDetached(
  program: string,
  args: readonly string[],
  options: { cwd: string; log: string; diesWithUs?: boolean },
): { pid: number; ended: Promise<number | string>; release: () => void } {
  const log = openSync(options.log, 'a');
  const guard = options.diesWithUs && which('setpriv') !== undefined ? ['setpriv', '--pdeathsig', 'KILL', '--'] : [];
  const [first = '', ...rest] = [...guard, program, ...args];
  const child = spawn(first, rest, { cwd: options.cwd, detached: true, stdio: ['ignore', log, log] });
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  return { pid: child.pid ?? -1, ended, release: () => child.unref() };
}

/** What a process has used: processor time in milliseconds, and bytes of memory; where proc(5) tells. */
export function usageOf(pid: number): { cpuMs: number; rss: number } | undefined {
  const fields = statusOf(pid);
  if (fields === undefined) return undefined;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpuMs: (ticks * 1000) / TICKS_PER_SECOND, rss: Number(fields[21]) * PAGE };
}

/** When a process began, in the words of the host, to tell it from a later one with the same pid; where proc(5) tells. */
export function birthOf(pid: number): string {
  if (!existsSync('/proc/self/stat')) return 'unknown';
  return statusOf(pid)?.[19] ?? 'gone';
}

/** What proc(5) has in `stat` of a process from its state on, or undefined. */
function statusOf(pid: number): string[] | undefined {
  try {
    // The field before is the program's name in parentheses, and may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** What Linux tells user land on every architecture that QEMU's hosts have. */
const TICKS_PER_SECOND = 100;
const PAGE = 4096;

/** The file of a program on the PATH, or undefined. */
export function which(program: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder || '.', program);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not here
    }
  }
  return undefined;
}
