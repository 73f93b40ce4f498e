import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../host/paths.ts';
import { compressed, type Member, tarOf } from '../tests/rig/archives.ts';

/**
 * What a build costs beside the same work done the shell way, as root: a loop mount, mke2fs, bsdtar. A set like NetBSD's
 * base, a 512 MB image, medians of a few runs. Read the ratios: machines differ, and are noisy.
 */

const RUNS = Number(process.env.BENCH_RUNS ?? 5);
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-bench-'));
const cache = path.join(folder, 'cache');
const rssFile = path.join(folder, 'rss');

/** About 11,000 entries, 300 MB: sizes spread like those of a base set, most small and a few large. */
function baseLike(): Member[] {
  const members: Member[] = [{ name: './usr/', content: null }];
  for (let n = 0; n < 10_500; n++) {
    if (n % 25 === 0) members.push({ name: `./usr/d${n / 25}/`, content: null });
    const size = Math.floor(1.5 ** (n % 23)) * 13 + (n % 500 === 0 ? 4_000_000 : 0);
    members.push({ name: `./usr/d${Math.floor(n / 25)}/f${n}`, content: noise(size, n), mode: 0o444 });
  }
  return members;
}

/** Bytes that neither repeat much nor cost much to make. */
function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let state = seed * 2654435761 + 1;
  for (let n = 0; n < size; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[n] = n % 3 === 0 ? state >>> 24 : 0x61;
  }
  return bytes;
}

interface Measured {
  readonly ms: number;
  readonly rss: number;
}

function time(program: string, args: readonly string[], cwd = folder): Measured {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const preload = path.join(folder, 'rss.mjs');
  rmSync(rssFile, { force: true });
  const started = performance.now();
  const { status, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: {
      ...env,
      PATH,
      SMOL_CACHE: cache,
      ...(program === process.execPath && { NODE_OPTIONS: `--import=${preload}` }),
    },
  });
  const ms = performance.now() - started;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr}`);
  return { ms, rss: existsSync(rssFile) ? Number(readFileSync(rssFile, 'utf8')) : 0 };
}

/** The median of several runs, each after `prepare`. */
function median(work: () => Measured, prepare: () => void = () => undefined): Measured {
  const runs = Array.from({ length: RUNS }, () => {
    prepare();
    return work();
  }).sort((a, b) => a.ms - b.ms);
  return { ms: runs[Math.floor(RUNS / 2)]!.ms, rss: Math.max(...runs.map(({ rss }) => rss)) };
}

/** The shell way that this host allows. */
function shellWayHere(): [string, (set: string) => Measured] {
  if (process.getuid?.() === 0) {
    try {
      shellWay('base.tar');
      return ['as root: dd, sgdisk, mke2fs, loop mount, bsdtar', shellWay];
    } catch {
      // no loop devices here
    }
  }
  return ['without a mount: bsdtar, mke2fs -d', withoutMount];
}

const main = path.join(packageRoot(), 'build', 'smol', 'main.js');
const smol = (...args: string[]) => time(process.execPath, [main, ...args]);

/** mkimg.sh's way on Linux: zeros, a partition table, a file system, a loop mount, an extraction. */
function shellWay(set: string): Measured {
  const script = `set -e
    dd if=/dev/zero of=shell.img bs=1M count=512 2>/dev/null
    sgdisk --zap-all --new=1:0:0 --typecode=1:8300 --change-name=1:benchroot shell.img >/dev/null 2>&1
    loop=$(losetup -f --show -o 1048576 --sizelimit 534773760 shell.img)
    trap '{ umount mnt || true; } 2>/dev/null; losetup -d $loop' EXIT
    mke2fs -q -O none "$loop"
    mkdir -p mnt; mount "$loop" mnt
    bsdtar -xpf ${set} -C mnt
    umount mnt`;
  return time('sh', ['-c', script]);
}

/** The nearest that the shell comes without a loop device. */
function withoutMount(set: string): Measured {
  const script = `set -e
    rm -rf tree shell.img; mkdir tree; bsdtar -xpf ${set} -C tree
    truncate -s 512M shell.img; mke2fs -q -O none -d tree -E offset=1048576 shell.img 522240k`;
  return time('sh', ['-c', script]);
}

try {
  writeFileSync(
    path.join(folder, 'rss.mjs'),
    // getrusage(2) would tell the peak of this process too, which children inherit; the kernel's own mark is theirs alone.
    `import { readFileSync, writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(${JSON.stringify(rssFile)}, String(1024 * /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])));`,
  );
  const tar = await tarOf(baseLike());
  writeFileSync(path.join(folder, 'base.tar'), tar);
  writeFileSync(path.join(folder, 'base.tgz'), compressed(tar, 'tgz'));
  writeFileSync(path.join(folder, 'smol.config.yaml'), 'release: bench\n');
  for (const [name, text] of [
    [
      'sets/bench.yaml',
      `description: x\nguest: netbsd\nsource: "file:${folder}/{set}.tgz"\nsets: [base]\narchs: {amd64: {kernel: bench}}\n`,
    ],
    [
      'kernels/bench.yaml',
      'description: x\nguest: netbsd\narchs: {amd64: {source: "file:kernel", machine: microvm}}\n',
    ],
    ['kernels/kernel', 'kernel'],
    ['services/bench/service.yaml', 'description: x\nsets: [base]\nsize: 512M\n'],
    ['services/bench/etc/rc', '#!/bin/sh\n'],
  ] as const) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const build = () => smol('build', 'bench', '--arch', 'amd64');
  const image = path.join(folder, 'images', 'bench-amd64.img');
  const rc = path.join(folder, 'services/bench/etc/rc');

  const cold = build();
  const [name, way] = shellWayHere();
  const shell = median(() => way('base.tar'));
  const node = median(() => time(process.execPath, ['-e', '0']));
  let line = 0;
  const change = () => writeFileSync(rc, `#!/bin/sh\n# ${line++}\n`);
  const changeAndRemove = () => {
    change();
    rmSync(image);
  };
  const rows: [string, Measured, 'shell' | 'node'][] = [
    [`shell, ${name}, from the unpacked set`, shell, 'shell'],
    [`shell, ${name}, from the set as it is published`, median(() => way('base.tgz')), 'shell'],
    ['smol: first build, from the set as it is published', cold, 'shell'],
    ['smol: clean, from the unpacked set', median(build, changeAndRemove), 'shell'],
    ['smol: one line changed', median(build, change), 'shell'],
    ['smol: image removed', median(build, () => rmSync(image)), 'shell'],
    ['node -e 0', node, 'node'],
    ['smol: nothing changed', median(build), 'node'],
  ];

  const size = (tar.length / 1e6).toFixed(0);
  console.log(
    `${baseLike().length} entries, ${size} MB, image of 512 MB; medians of ${RUNS}; Node ${process.version}, ${os.cpus().length} processors\n`,
  );
  console.log('| way | time | ratio | peak memory |\n|---|---:|---:|---:|');
  for (const [label, measured, against] of rows) {
    const ratio =
      against === 'shell'
        ? `${(measured.ms / shell.ms).toFixed(2)}x`
        : `node + ${(measured.ms - node.ms).toFixed(0)} ms`;
    const rss = measured.rss > 0 ? `${(measured.rss / 2 ** 20).toFixed(0)} MiB` : '';
    console.log(`| ${label} | ${measured.ms.toFixed(0)} ms | ${ratio} | ${rss} |`);
  }
} finally {
  try {
    execFileSync('umount', [path.join(folder, 'mnt')], { stdio: 'ignore' });
  } catch {
    // was not mounted
  }
  rmSync(folder, { recursive: true, force: true });
}
