import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { Sample, TIME } from '../rig/sample.ts';
import { exits } from '../rig/sandbox.ts';

/** Linux's own code for UFS reads what smol writes: Debian's 686-pae kernel has it as a module. */

test("Linux's ufs module mounts FFS 1 and 2 as smol writes them, and finds every file as it is", async (t) => {
  const box = linuxProject(t);
  const kernel = readFileSync(path.join(packageRoot(), 'kernels/debian.yaml'), 'utf8');
  box.write('kernels/ufs.yaml', kernel.replace('crc32c_generic, ext4]', 'crc32c_generic, ext4, ufs]'));
  box.write('kernels/debian-init.sh', readFileSync(path.join(packageRoot(), 'kernels/debian-init.sh')));
  // As a job, whose results come by a disk: a console under load may lose a letter.
  const rc = '#!/bin/sh\n/bin/busybox --install -s /bin\n. /etc/include/linuxrc\n';
  writeService(box, 'reader', rc, 'kernel: ufs\nrun: {memory: 256M}\n');
  const script = `mkdir -p /tmp/ffs1 /tmp/ffs
mount -t ufs -o ro,ufstype=44bsd /dev/vdb1 /tmp/ffs1
mount -t ufs -o ro,ufstype=ufs2 /dev/vdc1 /tmp/ffs
for fs in ffs1 ffs; do
    cd /tmp/$fs || exit 1
    find . -type f | sort | xargs sha256sum | sed "s/^/sum $fs /"
    find . | sort | xargs stat -c "stat $fs %n %a %u:%g %h %s %Y"
    for link in $(find . -type l | sort); do echo "link $fs $link $(readlink $link)"; done
done > $OUT/report
`;
  box.write('read.sh', script);
  const sample = new Sample()
    .file('etc/rc', Buffer.from('#!/bin/sh\n'), { mode: 0o755 })
    .file('bin/su', Buffer.alloc(10_000, 7), { mode: 0o4555, gid: 5 })
    .file('deep/in/it', Buffer.alloc(70_000, 'deep'))
    .file('large', Buffer.alloc(20 * 1024 ** 2, 'large '))
    .file('one', Buffer.from('one'), { hard: true, blob: 'one' })
    .file('two', Buffer.from('one'), { hard: true, blob: 'one' })
    .add({ path: 'short', type: 'symlink', target: 'etc/rc', mode: 0o755, uid: 0, gid: 0, mtime: TIME })
    .add({ path: 'long', type: 'symlink', target: `/${'y'.repeat(500)}`, mode: 0o777, uid: 0, gid: 0, mtime: TIME });
  for (let n = 0; n < 300; n++) sample.file(`many/file${n}`, Buffer.alloc(n * 97, `${n} `), { uid: n });
  const images = [await sample.image(t, 'ffs1', 48 * 1024 ** 2), await sample.image(t, 'ffs', 48 * 1024 ** 2)];
  const drives = images.flatMap((image) => ['--drive', image]);
  const job = ['--exec', 'read.sh', '--out', 'left'];
  const result = await box.smol(['run', 'reader', '--arch', 'i386', '--timeout', '120', ...drives, ...job]);
  exits(t, result, 0);
  const said = box.read('left/report');
  for (const fs of ['ffs1', 'ffs']) {
    const sums = new Map(
      [...said.matchAll(new RegExp(`^sum ${fs} (\\w{64}) +\\./(.*)$`, 'gm'))].map(([, sum, name]) => [name, sum]),
    );
    const stats = new Map(
      [...said.matchAll(new RegExp(`^stat ${fs} \\./(\\S+) (.*)$`, 'gm'))].map(([, name, stat]) => [name, stat]),
    );
    for (const entry of sample.entries) {
      if (entry.type !== 'file') continue;
      t.is(sums.get(entry.path), entry.content.digest, `${fs} ${entry.path}`);
      const links = entry.hard ? 2 : 1;
      const { mode, uid, gid, content } = entry;
      t.is(stats.get(entry.path), `${mode.toString(8)} ${uid}:${gid} ${links} ${content.size} ${TIME}`, entry.path);
    }
    t.true(said.includes(`link ${fs} ./short etc/rc\n`));
    t.true(said.includes(`link ${fs} ./long /${'y'.repeat(500)}\n`));
  }
});
