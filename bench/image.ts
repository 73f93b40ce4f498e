import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { compressed, type Member, tarOf } from '../tests/rig/archives.ts';
import { Bench, type Measured, median, type Row, tell, times } from './rig.ts';

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

/** The shell way that this host allows. */
function shellWayHere(bench: Bench): [string, (set: string) => Measured] {
  if (process.getuid?.() === 0) {
    try {
      shellWay(bench, 'base.tar');
      return ['as root: dd, sgdisk, mke2fs, loop mount, bsdtar', (set) => shellWay(bench, set)];
    } catch {
      // no loop devices here
    }
  }
  return ['without a mount: bsdtar, mke2fs -d', (set) => withoutMount(bench, set)];
}

/** mkimg.sh's way on Linux: zeros, a partition table, a file system, a loop mount, an extraction. */
function shellWay(bench: Bench, set: string): Measured {
  const script = `set -e
    dd if=/dev/zero of=shell.img bs=1M count=512 2>/dev/null
    sgdisk --zap-all --new=1:0:0 --typecode=1:8300 --change-name=1:benchroot shell.img >/dev/null 2>&1
    loop=$(losetup -f --show -o 1048576 --sizelimit 534773760 shell.img)
    trap '{ umount mnt || true; } 2>/dev/null; losetup -d $loop' EXIT
    mke2fs -q -O none "$loop"
    mkdir -p mnt; mount "$loop" mnt
    bsdtar -xpf ${set} -C mnt
    umount mnt`;
  return bench.time('sh', ['-c', script]);
}

/** The nearest that the shell comes without a loop device. */
function withoutMount(bench: Bench, set: string): Measured {
  const script = `set -e
    rm -rf tree shell.img; mkdir tree; bsdtar -xpf ${set} -C tree
    truncate -s 512M shell.img; mke2fs -q -O none -d tree -E offset=1048576 shell.img 522240k`;
  return bench.time('sh', ['-c', script]);
}

/**
 * What a build costs beside the same work done the shell way, as root: a loop mount, mke2fs, bsdtar; and beside a copy
 * of the image that leaves its holes out. A set like NetBSD's base, a 512 MB image.
 */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    const members = baseLike();
    const tar = await tarOf(members);
    writeFileSync(bench.path('base.tar'), tar);
    writeFileSync(bench.path('base.tgz'), compressed(tar, 'tgz'));
    bench.writeProject();
    bench.writeService('bench', '512M');
    const args = ['build', 'bench', '--arch', 'amd64'];
    const image = bench.path('images/bench-amd64.img');
    let line = 0;
    const change = () => bench.write('services/bench/etc/rc', `#!/bin/sh\n# ${line++}\n`);
    const changeAndRemove = () => {
      change();
      rmSync(image);
    };

    const first = bench.smol(...args);
    const [name, way] = shellWayHere(bench);
    const shell = median(() => way('base.tar'));
    const copy = median(
      () => bench.time('cp', ['--sparse=always', image, bench.path('copy.img')]),
      () => rmSync(bench.path('copy.img'), { force: true }),
    );
    const shellRow = (label: string, measured: Measured): Row => ({
      way: label,
      measured,
      told: times(measured, shell),
    });
    const smol = (label: string, prepare: () => void): Row =>
      shellRow(
        label,
        median(
          () => bench.smol(...args),
          prepare,
          () => bench.smolRss(...args),
        ),
      );
    const again = smol('smol: image removed', () => rmSync(image));
    tell(`${members.length} entries, ${(tar.length / 1e6).toFixed(0)} MB, an image of 512 MB`, [
      shellRow(`shell, ${name}, from the unpacked set`, shell),
      shellRow(
        `shell, ${name}, from the set as it is published`,
        median(() => way('base.tgz')),
      ),
      shellRow('smol: first build, from the set as it is published', first),
      smol('smol: clean, from the unpacked set', changeAndRemove),
      smol('smol: one line changed', change),
      again,
      {
        way: 'cp --sparse=always of the image',
        measured: copy,
        told: `${times(again.measured, copy)} is smol's image again`,
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
