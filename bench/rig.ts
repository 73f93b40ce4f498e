import { spawnSync } from 'node:child_process';
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
}

/** A line of a table: what was measured, and what that is compared with. */
export interface Row {
  readonly way: string;
  readonly measured: Measured;
  /** A ratio to another, or what was added to it, or another number in words. */
  readonly told: string;
}

/** A directory with a cache and a project of its own, and the programs that are run in it. */
export class Bench {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), 'smol-bench-'));
  readonly #rss = path.join(this.folder, 'rss');
  readonly #preload = path.join(this.folder, 'rss.mjs');

  constructor() {
    // getrusage(2) would tell the peak of this process too, which children inherit; the kernel's own mark is theirs alone.
    this.write(
      'rss.mjs',
      `import { readFileSync, writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(${JSON.stringify(this.#rss)}, String(1024 * /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])));`,
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

  writeService(name: string, size: string): void {
    this.write(`services/${name}/service.yaml`, `description: x\nsets: [base]\nsize: ${size}\n`);
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

  /** The peak memory of `smol`, which is measured apart: to be told of it takes time. */
  smolRss(...args: string[]): number {
    rmSync(this.#rss, { force: true });
    this.time(process.execPath, [
      `--import=${this.#preload}`,
      path.join(packageRoot(), 'build', 'smol', 'main.js'),
      ...args,
    ]);
    return existsSync(this.#rss) ? Number(readFileSync(this.#rss, 'utf8')) : 0;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The median of several runs, each after `prepare`. */
export function median(
  work: () => Measured,
  prepare: () => void = () => undefined,
  peak: () => number | undefined = () => undefined,
): Measured {
  const runs = Array.from({ length: RUNS }, () => {
    prepare();
    return work().ms;
  }).sort((a, b) => a - b);
  prepare();
  return { ms: runs[Math.floor(RUNS / 2)]!, rss: peak() };
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
  console.log(`\n${title}\n\n| way | time | beside | peak memory |\n|---|---:|---:|---:|`);
  for (const { way, measured, told } of rows) {
    const digits = measured.ms < 10 ? 2 : 0;
    const rss = measured.rss === undefined ? '' : `${(measured.rss / 2 ** 20).toFixed(0)} MiB`;
    console.log(`| ${way} | ${measured.ms.toFixed(digits)} ms | ${told} | ${rss} |`);
  }
}
