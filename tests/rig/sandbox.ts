import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { packageRoot } from '../../host/paths.ts';

/** What a run of the real command line gave. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The events, of a run with --json. */
  readonly events: Record<string, unknown>[];
}

export interface RunSettings {
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
  /** Called with each piece of output; may send signals. */
  readonly watch?: (text: string, pid: number) => void;
}

/** How much of what a program printed a failure shows. */
const TOLD = 4000;

/** A temporary project with a cache of its own, and the real command line in it. */
export class Sandbox {
  readonly folder: string;
  readonly cache: string;

  /** `name` is the folder's; `cache` one to share with other tests, for what takes long to fetch. */
  constructor(t: ExecutionContext<unknown>, name = 'project', cache?: string) {
    const base = mkdtempSync(path.join(os.tmpdir(), 'smol-test-'));
    this.folder = path.join(base, name);
    this.cache = cache ?? path.join(base, 'cache');
    mkdirSync(this.folder);
    t.teardown(() => rmSync(base, { recursive: true, force: true }));
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  write(name: string, content: string | Uint8Array, mode?: number): string {
    const file = this.path(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    if (mode !== undefined) chmodSync(file, mode);
    return file;
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Runs smol as a user's shell would, without this process's own settings for it. */
  smol(args: readonly string[], settings: RunSettings = {}): Promise<Result> {
    return runProgram([process.execPath, path.join(packageRoot(), 'build', 'smol', 'main.js'), ...args], {
      cwd: settings.cwd ?? this.folder,
      watch: settings.watch,
      env: { ...cleanEnvironment(), SMOL_CACHE: this.cache, ...settings.env },
    });
  }

  /** Starts smol and leaves it running; what is still running when the test ends is ended. */
  start(t: ExecutionContext<unknown>, args: readonly string[], env: RunSettings['env'] = {}): Running {
    return new Running(t, args, this.folder, { ...cleanEnvironment(), SMOL_CACHE: this.cache, ...env });
  }

  /** Where problems are looked at, without what differs from run to run. */
  told(result: Result): string {
    return result.stderr
      .split('\n')
      .filter((line) => !/^[✓✗] /.test(line))
      .join('\n')
      .replaceAll(this.folder, '<project>')
      .replaceAll(this.cache, '<cache>')
      .trim();
  }
}

/** A run of the real command line that goes on: what it says can be waited for. */
export class Running {
  /** All that it wrote. */
  output = '';
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #seen = 0;

  constructor(
    t: ExecutionContext<unknown>,
    args: readonly string[],
    cwd: string,
    env: Record<string, string | undefined>,
  ) {
    const main = path.join(packageRoot(), 'build', 'smol', 'main.js');
    this.#child = spawn(process.execPath, [main, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    this.ended = new Promise((resolve) => this.#child.on('close', resolve));
    t.teardown(async () => {
      this.signal('SIGINT');
      await this.ended;
    });
  }

  /** What it wrote after what was waited for before, up to and with what matches. Throws if it ends or falls silent. */
  async until(pattern: RegExp, seconds = 60): Promise<string> {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
      const rest = this.output.slice(this.#seen);
      const found = pattern.exec(rest);
      if (found !== null) {
        const length = found.index + found[0].length;
        this.#seen += length;
        return rest.slice(0, length);
      }
      if (this.#child.exitCode !== null) break;
      await setTimeout(10);
    }
    throw new Error(`${pattern} was not seen in:\n${this.output}`);
  }

  /** What it wrote since. */
  get rest(): string {
    return this.output.slice(this.#seen);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

/** A command line ended with the code that it should. When it did not, all that it told is in the failure. */
export function exits(t: ExecutionContext<unknown>, { code, stdout, stderr, events }: Result, wanted: number): void {
  const told = events.length === 0 ? stdout : events.map((event) => JSON.stringify(event)).join('\n');
  t.is(code, wanted, code === wanted ? '' : `${stderr}\n${told.slice(-TOLD)}`);
}

export function cleanEnvironment(): Record<string, string | undefined> {
  const { SMOL_INSTALL: _, SMOL_CACHE: __, NODE_EXTRA_CA_CERTS: ___, CI: ____, ...rest } = process.env;
  return { ...rest, NO_COLOR: '1' };
}

export function runProgram(
  [program = '', ...args]: readonly string[],
  {
    cwd,
    env,
    watch,
  }: { cwd: string; env: Record<string, string | undefined>; watch?: RunSettings['watch'] | undefined },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      watch?.(text, child.pid!);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      watch?.(text, child.pid!);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr, events: eventsOf(stdout) }));
  });
}

function eventsOf(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{"type":'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The steps that a --json run really did, without the name of the target. */
export function ranSteps(result: Result): string[] {
  return result.events
    .filter((event) => event.type === 'step-finished' && event.cached === false)
    .map((event) => String(event.step))
    .sort();
}
