import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Bench, inTurns, tell, times, type Work } from './rig.ts';

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

const unpacked = 'mkdir tree; bsdtar -xpf base.tar -C tree';
const changed = 'date +%s%N > tree/usr/changed';
const mke2fs = 'truncate -s 512M other.img; mke2fs -q -O none -d tree -E offset=1048576 other.img 522240k';
const makefs = 'makefs -t ffs -s 511m -o version=2 other.img tree';
const genext2fs = 'genext2fs -B 4096 -b 130560 -N 32640 -a base.tar other.img';

/** Another way to make such an image: clean, or after a change where that need not unpack the set again, or from the set as it is published. */
interface Other {
  readonly way: string;
  readonly needs: readonly string[];
  /** What is removed before, as an image of ours is. */
  readonly makes: readonly string[];
  readonly script: string;
}

const OTHERS: readonly Other[] = [
  {
    way: 'clean, as root: dd, sgdisk, mke2fs, loop mount, bsdtar',
    needs: ['losetup', 'sgdisk'],
    makes: ['shell.img'],
    script: loopMount('base.tar'),
  },
  {
    way: 'the same, from the set as it is published',
    needs: ['losetup', 'sgdisk'],
    makes: ['shell.img'],
    script: loopMount('base.tgz'),
  },
  {
    way: 'clean: bsdtar, mke2fs -d',
    needs: ['mke2fs'],
    makes: ['tree', 'other.img'],
    script: `${unpacked}; ${mke2fs}`,
  },
  { way: 'mke2fs -d, one file changed', needs: ['mke2fs'], makes: ['other.img'], script: `${changed}; ${mke2fs}` },
  { way: 'clean: genext2fs -a', needs: ['genext2fs'], makes: ['other.img'], script: genext2fs },
  { way: 'clean: bsdtar, makefs', needs: ['makefs'], makes: ['tree', 'other.img'], script: `${unpacked}; ${makefs}` },
  { way: 'makefs, one file changed', needs: ['makefs'], makes: ['other.img'], script: `${changed}; ${makefs}` },
];

interface Way extends Work {
  readonly way: string;
}

/**
 * What a build costs beside the same work done with the shell's tools, and beside a copy of the image that leaves its
 * holes out. A set like NetBSD's base, a 512 MB image. What this host lacks, or forbids, is left out.
 */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    const set = bench.writeBaseSet();
    const others = OTHERS.flatMap(({ way, needs, makes, script }): Way[] => {
      const prepare = () => {
        for (const name of makes) rmSync(bench.path(name), { recursive: true, force: true });
      };
      const work = () => bench.script(script);
      try {
        bench.script(needs.map((name) => `command -v ${name} > /dev/null`).join('\n'));
        prepare();
        work();
        return [{ way, prepare, work }];
      } catch (error) {
        const [told] = String((error as Error).message).split('\n');
        console.log(`left out: ${way}: ${told!.slice(0, 100)}`);
        return [];
      }
    });

    bench.writeProject();
    let line = 0;
    const smol = (fs: string): Way[] => {
      const args = ['build', fs, '--arch', 'amd64'];
      const change = () => bench.write(`services/${fs}/etc/rc`, `#!/bin/sh\n# ${line++}\n`);
      bench.writeService(fs, '512M', fs);
      const remove = () => rmSync(bench.path(`images/${fs}-amd64.img`), { force: true });
      const way = (name: string, prepare?: () => void): Way => ({
        way: `smol, ${fs}: ${name}`,
        prepare,
        work: () => bench.smol(...args),
        usage: () => bench.smolUsage(...args),
      });
      return [
        way('clean, from cached blobs', remove),
        way('clean, and one line changed', () => {
          change();
          remove();
        }),
        way('one line changed', change),
        way('nothing changed'),
      ];
    };
    const copy: Way = {
      way: 'cp --sparse=always of the image',
      prepare: () => rmSync(bench.path('copy.img'), { force: true }),
      work: () => bench.time('cp', ['--sparse=always', bench.path('images/ext2-amd64.img'), bench.path('copy.img')]),
    };
    const ours = ['ext2', 'ffs'].flatMap(smol);
    // Each once, so that all has been compiled that any of them compiles.
    const [first] = ours.map(({ prepare, work }) => {
      prepare?.();
      return work();
    });
    const ways = [...others, ...ours, copy];
    const measured = inTurns(ways).map((each, n) => ({ way: ways[n]!.way, measured: each }));
    const best = measured
      .slice(0, others.length)
      .filter(({ way }) => way.startsWith('clean'))
      .reduce((a, b) => (a.measured.ms < b.measured.ms ? a : b));
    measured.push({ way: 'smol, ext2: first build, from the set as it is published', measured: first! });
    tell(
      `${set}, an image of 512 MB; beside the best of the others that are clean`,
      measured.map((row) => ({ ...row, told: times(row.measured, best.measured) })),
    );
  } finally {
    try {
      execFileSync('umount', [bench.path('mnt')], { stdio: 'ignore' });
    } catch {
      // was not mounted
    }
    bench.remove();
  }
}
