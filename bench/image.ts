import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Bench, type Measured, median, type Row, tell, times } from './rig.ts';

/** mkimg.sh's way on Linux, as root: zeros, a partition table, a file system, a loop mount, an extraction. */
const loopMount = (set: string) => `
  dd if=/dev/zero of=shell.img bs=1M count=512 2>/dev/null
  sgdisk --zap-all --new=1:0:0 --typecode=1:8300 --change-name=1:benchroot shell.img >/dev/null 2>&1
  loop=$(losetup -f --show -o 1048576 --sizelimit 534773760 shell.img)
  trap '{ umount mnt || true; } 2>/dev/null; losetup -d $loop' EXIT
  mke2fs -q -O none "$loop"
  mkdir -p mnt; mount "$loop" mnt
  bsdtar -xpf ${set} -C mnt
  umount mnt`;

const unpacked = (set: string) => `rm -rf tree; mkdir tree; bsdtar -xpf ${set} -C tree`;
const changed = 'date +%s%N > tree/usr/changed';
const mke2fs =
  'rm -f other.img; truncate -s 512M other.img; mke2fs -q -O none -d tree -E offset=1048576 other.img 522240k';
const makefs = 'rm -f other.img; makefs -t ffs -s 511m -o version=2 other.img tree';
const genext2fs = (set: string) => `rm -f other.img; genext2fs -B 4096 -b 130560 -N 32640 -a ${set} other.img`;

/** What else makes such an image, clean from the unpacked set, and after a change where that need not unpack it again. */
const OTHERS: readonly { readonly way: string; readonly needs: readonly string[]; readonly script: string }[] = [
  {
    way: 'as root: dd, sgdisk, mke2fs, loop mount, bsdtar',
    needs: ['losetup', 'sgdisk'],
    script: loopMount('base.tar'),
  },
  { way: 'the same, from the set as it is published', needs: ['losetup', 'sgdisk'], script: loopMount('base.tgz') },
  { way: 'bsdtar, mke2fs -d', needs: ['mke2fs'], script: `${unpacked('base.tar')}; ${mke2fs}` },
  { way: 'mke2fs -d, one file changed', needs: ['mke2fs'], script: `${changed}; ${mke2fs}` },
  { way: 'genext2fs -a', needs: ['genext2fs'], script: genext2fs('base.tar') },
  { way: 'bsdtar, makefs', needs: ['makefs'], script: `${unpacked('base.tar')}; ${makefs}` },
  { way: 'makefs, one file changed', needs: ['makefs'], script: `${changed}; ${makefs}` },
];

/**
 * What a build costs beside the same work done with the shell's tools, and beside a copy of the image that leaves its
 * holes out. A set like NetBSD's base, a 512 MB image. What this host lacks, or forbids, is left out.
 */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    const set = bench.writeBaseSet();
    const others = OTHERS.flatMap(({ way, needs, script }): [string, Measured][] => {
      try {
        bench.script(needs.map((name) => `command -v ${name} > /dev/null`).join('\n'));
        return [[way, median(() => bench.script(script))]];
      } catch (error) {
        console.log(
          `left out: ${way}: ${String((error as Error).message)
            .split('\n')[0]!
            .slice(0, 100)}`,
        );
        return [];
      }
    });
    const isClean = ([way]: [string, Measured]) => !/changed|published/.test(way);
    const best = others.filter(isClean).sort(([, a], [, b]) => a.ms - b.ms)[0]![1];
    const row = (way: string, measured: Measured): Row => ({ way, measured, told: times(measured, best) });

    bench.writeProject();
    bench.writeService('bench', '512M');
    const args = ['build', 'bench', '--arch', 'amd64'];
    const image = bench.path('images/bench-amd64.img');
    let line = 0;
    const change = () => bench.write('services/bench/etc/rc', `#!/bin/sh\n# ${line++}\n`);
    const first = bench.smol(...args);
    const smol = (fs: string, way: string, prepare: () => void): Row => {
      bench.write('smol.config.yaml', `release: bench\nfs: ${fs}\n`);
      bench.smol(...args);
      const work = () => bench.smol(...args);
      return row(
        `smol, ${fs}: ${way}`,
        median(work, prepare, () => bench.smolUsage(...args)),
      );
    };
    const remove = () => rmSync(image);
    const clean = smol('ext2', 'clean, from cached blobs', remove);
    const copy = median(
      () => bench.time('cp', ['--sparse=always', image, bench.path('copy.img')]),
      () => rmSync(bench.path('copy.img'), { force: true }),
    );
    tell(`${set}, an image of 512 MB; beside the best of the others`, [
      ...others.map(([way, measured]) => row(way, measured)),
      row('smol, ext2: first build, from the set as it is published', first),
      clean,
      smol('ffs', 'clean, from cached blobs', remove),
      ...['ext2', 'ffs'].flatMap((fs) => [
        smol(fs, 'clean, and one line changed', () => {
          change();
          remove();
        }),
        smol(fs, 'one line changed', change),
        smol(fs, 'nothing changed', () => undefined),
      ]),
      {
        way: 'cp --sparse=always of the image',
        measured: copy,
        told: `${times(clean.measured, copy)} is smol, ext2, clean`,
      },
    ]);
  } finally {
    try {
      execFileSync('umount', [bench.path('mnt')], { stdio: 'ignore' });
    } catch {
      // was not mounted
    }
    bench.remove();
  }
}
