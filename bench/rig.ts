import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../host/paths.ts';

/** How often each thing is measured; the median counts. */
export const RUNS = Number(process.env.BENCH_RUNS ?? 5);

export interface Measured {
  readonly ms: number;
  /** Peak memory in bytes, where it was taken. */
  readonly rss?: number | undefined;
  /** Bytes that it and its children gave to files, where that was taken. */
  readonly written?: number | undefined;
}

/** A line of a table: what was measured, and what that is compared with. */
export interface Row {
  readonly way: string;
  readonly measured: Measured;
  /** A ratio to another, or what was added to it, or another number in words. */
  readonly told: string;
}

type Usage = Pick<Measured, 'rss' | 'written'>;

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

/** A directory with a cache and a project of its own, and the programs that are run in it. */
export class Bench {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), 'smol-bench-'));
  readonly #usage = path.join(this.folder, 'usage');
  readonly #preload = path.join(this.folder, 'usage.mjs');

  constructor() {
    // getrusage(2) would tell the peak of this process too, which children inherit; the kernel's own mark is theirs alone.
    this.write(
      'usage.mjs',
      `import { readFileSync, writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(${JSON.stringify(this.#usage)}, readFileSync('/proc/self/status', 'utf8') + readFileSync('/proc/self/io', 'utf8')));`,
    );
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): string {
    const file = this.path(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  /** A set like NetBSD's base, as base.tar and base.tgz in the bench's folder. Gives what is in it, in words. */
  writeBaseSet(): string {
    const program = path.join(packageRoot(), 'build', 'bench', 'baseset.js');
    return execFileSync(process.execPath, [program, this.folder], { encoding: 'utf8' });
  }

  /** A project whose one release has the set `base`, in the bench's folder as base.tgz. */
  writeProject(): void {
    this.write('smol.config.yaml', 'release: bench\n');
    this.write(
      'sets/bench.yaml',
      `description: x\nguest: netbsd\nsource: "file:${this.folder}/{set}.tgz"\nsets: [base]\narchs: {amd64: {kernel: bench}}\n`,
    );
    this.write(
      'kernels/bench.yaml',
      'description: x\nguest: netbsd\narchs: {amd64: {source: "file:kernel", machine: microvm}}\n',
    );
    this.write('kernels/kernel', 'kernel');
  }

  writeService(name: string, size: string, fs = 'ext2'): void {
    this.write(`services/${name}/service.yaml`, `description: x\nsets: [base]\nsize: ${size}\nfs: ${fs}\n`);
    this.write(`services/${name}/etc/rc`, `#!/bin/sh\n# ${name}\n`);
  }

  /** Runs a program to its end. Throws if it fails. */
  time(program: string, args: readonly string[]): Measured {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const started = performance.now();
    const { status, stderr } = spawnSync(program, args, {
      cwd: this.folder,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: { ...env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, SMOL_CACHE: this.path('cache') },
    });
    const ms = performance.now() - started;
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr}`);
    return { ms };
  }

  readonly smol = (...args: string[]): Measured =>
    this.time(process.execPath, [path.join(packageRoot(), 'build', 'smol', 'main.js'), ...args]);

  /** What `smol` uses, which is measured apart: to be told of it takes time. */
  smolUsage(...args: string[]): Usage {
    rmSync(this.#usage, { force: true });
    this.time(process.execPath, [
      `--import=${this.#preload}`,
      path.join(packageRoot(), 'build', 'smol', 'main.js'),
      ...args,
    ]);
    const text = readFileSync(this.#usage, 'utf8');
    return { rss: 1024 * numberIn(text, /VmHWM:\s+(\d+)/), written: numberIn(text, /^write_bytes: (\d+)/m) };
  }

  /** Runs a script of sh(1), and tells what it and its children used; their memory only where there is a time(1). */
  script(script: string): Measured {
    const file = this.write('script.sh', `set -e\n${script}\n`);
    const timer = '/usr/bin/time';
    const command = existsSync(timer) ? `${timer} -f %M -o ${this.path('peak')} sh ${file}` : `sh ${file}`;
    const measured = this.time('sh', ['-c', `${command}; status=$?; cat /proc/$$/io > ${this.#usage}; exit $status`]);
    return {
      ...measured,
      written: numberIn(readFileSync(this.#usage, 'utf8'), /^write_bytes: (\d+)/m),
      rss: existsSync(timer) ? 1024 * Number(readFileSync(this.path('peak'), 'utf8')) : undefined,
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Something to measure. */
export interface Work {
  readonly work: () => Measured;
  /** What is done before each time, and not measured. */
  readonly prepare?: (() => void) | undefined;
  readonly usage?: (() => Usage) | undefined;
}

/**
 * The medians of several things, each after the other again and again: what the machine does beside meets all of them alike. What
 * was written before is on the disk by then, or one would pay for another.
 */
export function inTurns(all: readonly Work[]): Measured[] {
  const runs: Measured[][] = all.map(() => []);
  for (let n = 0; n < RUNS; n++) {
    for (const [k, { work, prepare }] of all.entries()) {
      prepare?.();
      execFileSync('sync');
      runs[k]!.push(work());
    }
  }
  return all.map(({ prepare, usage }, k) => {
    const sorted = runs[k]!.sort((a, b) => a.ms - b.ms);
    prepare?.();
    return { ...sorted[Math.floor(RUNS / 2)]!, ...usage?.() };
  });
}

/** The median of one, after `prepare`. */
export function median(work: Work['work'], prepare?: Work['prepare'], usage?: Work['usage']): Measured {
  return inTurns([{ work, prepare, usage }])[0]!;
}

/** The same of work in this process. */
export async function medianHere(work: () => Promise<unknown>): Promise<Measured> {
  const runs: number[] = [];
  for (let n = 0; n < RUNS; n++) {
    const started = performance.now();
    await work();
    runs.push(performance.now() - started);
  }
  return { ms: runs.sort((a, b) => a - b)[Math.floor(RUNS / 2)]! };
}

export const times = (measured: Measured, base: Measured): string => `${(measured.ms / base.ms).toFixed(2)}x`;

export function tell(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}\n\n| way | time | beside | peak memory | written |\n|---|---:|---:|---:|---:|`);
  for (const { way, measured, told } of rows) {
    const digits = measured.ms < 10 ? 2 : 0;
    const mib = (bytes: number | undefined) => (bytes === undefined ? '' : `${(bytes / 2 ** 20).toFixed(1)} MiB`);
    console.log(
      `| ${way} | ${measured.ms.toFixed(digits)} ms | ${told} | ${mib(measured.rss)} | ${mib(measured.written)} |`,
    );
  }
}
