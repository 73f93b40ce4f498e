import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { PARTITION_START } from '../../formats/gpt.ts';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { compressed, ETC, type Member, manyMembers, tarOf } from '../rig/archives.ts';
import { checkImage, type FoundEntry, readImage, textsOf } from '../rig/debugfs.ts';
import { readFfs } from '../rig/ffs.ts';
import { Mirror } from '../rig/mirror.ts';
import { parseMtree } from '../rig/mtree.ts';
import { servePackages } from '../rig/packages.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

for (const [arch, name] of [
  ['amd64', 'amd64'],
  ['i386', 'i386'],
  ['arm64', 'evbarm-aarch64'],
] as const) {
  test.serial(`rescue for ${arch}, from a mirror laid out like NetBSD's`, async (t) => {
    const mirror = await Mirror.start(t);
    const box = new Sandbox(t);
    box.write('smol.config.yaml', await mirror.serveNetbsd());
    const result = await box.smol(['build', 'rescue', '--arch', arch]);
    exits(t, result, 0);
    const image = box.path('images', `rescue-${name}.img`);
    t.is(statSync(image).size, 20 * 1024 ** 2);
    t.is(checkImage(image), '');

    const found = readImage(image);
    const like = (at: string, expected: object) => t.like(found.get(at), expected, at);
    like('etc/master.passwd', { mode: 0o600 });
    like('etc/dumpdates', { mode: 0o664, gid: 5 });
    like('var/games', { type: 'directory', mode: 0o2775, uid: 7, gid: 13 });
    like('tmp', { mode: 0o1777 });
    // Hard links are one inode.
    t.is(new Set(['init', 'sh', 'mount_ext2fs'].map((each) => found.get(`rescue/${each}`)?.inode)).size, 1);
    // What smolBSD adds.
    for (const folder of ['sbin', 'bin', 'dev', 'etc/include', 'var/qemufwcfg'])
      like(folder, { type: 'directory', mode: 0o755 });
    like('sbin/init', { type: 'symlink', target: '/rescue/init' });
    like('sbin/mount_ext2fs', { type: 'symlink', target: '/rescue/mount_ext2fs' });
    like('bin/sh', { type: 'symlink', target: '/rescue/sh' });
    like('etc/include/basicrc', { type: 'file', mode: 0o644, uid: 0, gid: 0 });
    like('etc/MAKEDEV.local', { mode: 0o555 });
    const texts = textsOf(image, ['etc/fstab', 'dev/MAKEDEV', 'etc/MAKEDEV', 'etc/rc']);
    t.is(texts[0], 'NAME=rescueroot / ext2fs rw,noatime 1 1\n');
    t.is(texts[1], '#!/bin/sh\nmount_tmpfs tmpfs /dev\n');
    t.is(texts[2], '#!/bin/sh\nmount_tmpfs -o union tmpfs /dev\n');
    t.is(texts[3], readFileSync(path.join(packageRoot(), 'services/rescue/etc/rc'), 'utf8'));

    // Everything that was fetched is pinned, by the name that the catalogue has for it, wherever it came from.
    const lock = box.read('smol.lock.yaml');
    t.is([...lock.matchAll(/^ {2}https:\/\/(nycdn\.netbsd|smolbsd)\.org\/\S+:$/gm)].length, 3);
    t.false(lock.includes('127.0.0.1'));
  });
}

test.serial('releases: 10 and HEAD, by their own addresses', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  const service = (release: string) =>
    `description: x\nrelease: ${release}\nsets: [rescue]\nsize: 8M\nlinks: {/bin/sh: /rescue/sh}\n`;
  box.write('services/ten/service.yaml', service('netbsd-10'));
  box.write('services/ten/etc/rc', '#!/bin/sh\n');
  box.write('services/head/service.yaml', service('netbsd-head'));
  box.write('services/head/etc/rc', '#!/bin/sh\n');
  exits(t, await box.smol(['build', 'ten', '--arch', 'x86_64']), 0);
  exits(t, await box.smol(['build', 'head', '--arch', 'i686']), 0);
  const paths = mirror.requests.map((request) => request.path);
  t.true(paths.includes('/pub/NetBSD/NetBSD-10.1/amd64/binary/sets/rescue.tar.xz'));
  t.true(paths.includes('/pub/NetBSD-daily/HEAD/latest/i386/binary/sets/rescue.tgz'));
});

test.serial('base, from a set of 10,000 entries', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd({ base: manyMembers(10_000), etc: ETC }));
  const result = await box.smol(['build', 'base', '--arch', 'amd64']);
  exits(t, result, 0);
  const image = box.path('images/base-amd64.img');
  t.is(checkImage(image), '');
  const found = readImage(image);
  for (const member of manyMembers(10_000)) {
    const entry = found.get(member.name.replace(/^\.\/|\/$/g, ''));
    t.truthy(entry, member.name);
    if (Buffer.isBuffer(member.content))
      t.like(entry, { mode: member.mode, gid: member.gid, size: member.content.length });
  }
});

test.serial('every service that comes with smol can be planned, for all that it is made for', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  const names = readdirSync(path.join(packageRoot(), 'services')).filter((name) => name !== 'common');
  t.true(names.length > 15);
  const planned = await box.smol(['build', ...names, '--arch', 'all', '--dry-run', '--json']);
  exits(t, planned, 0);
  for (const name of names)
    t.true(planned.stdout.includes(`"${name}-amd64"`) || planned.stdout.includes(` ${name}-amd64`));
});

test.serial(
  'services whose init is another one: nitro, from a pinned archive, and runit, from a package',
  async (t) => {
    const mirror = await Mirror.start(t);
    const box = new Sandbox(t);
    const base: Member[] = [
      { name: './sbin/init', content: 'init', mode: 0o555 },
      { name: './tmp/', content: null, mode: 0o1777 },
    ];
    const config = await mirror.serveNetbsd({ base, etc: ETC });
    box.write('smol.config.yaml', `${config}  https://imil.net/: ${mirror.url}/\narch: amd64\nfs: ext2\n`);
    const nitro: Member[] = [
      { name: '+CONTENTS', content: '@name nitro\n' },
      { name: 'sbin/nitro', content: 'nitro', mode: 0o755 },
    ];
    mirror.serve('/NetBSD/nitro-0.4.1.tgz', compressed(await tarOf(nitro), 'tgz'));
    await servePackages(mirror, {
      'runit-2.1.2': { files: { 'sbin/runit': 'runit', 'sbin/runit-init': 'runit-init' } },
    });
    const built = await box.smol(['build', 'nitrosshd', 'runbsd']);
    exits(t, built, 0);
    const [first, second] = ['nitrosshd', 'runbsd'].map((name) => box.path(`images/${name}-amd64.img`)) as [
      string,
      string,
    ];
    t.deepEqual(textsOf(first, ['sbin/init']), ['nitro']);
    t.deepEqual(textsOf(second, ['sbin/init', 'sbin/init.bsd']), ['runit-init', 'init']);
    const found = readImage(first);
    t.like(found.get('usr/pkg/etc/nitro/SYS/setup'), { type: 'symlink', target: '/etc/rc' });
    t.like(found.get('usr/pkg/etc/nitro/sshd/run'), { mode: 0o755, uid: 0, gid: 0 });
    t.false(found.has('tmp/nitro.tgz'));
    const other = readImage(second);
    t.like(other.get('service/sshd'), { type: 'symlink', target: '/etc/sv/sshd' });
    t.like(other.get('etc/runit/2'), { mode: 0o755 });
  },
);

const REAL = [process.env.SMOL_TEST_SETS, path.join(packageRoot(), '../shared/netbsd-9.0-dreamcast')].find(
  (folder) => folder !== undefined && existsSync(path.join(folder, 'rescue.tgz')),
);
const withRealSets = REAL === undefined ? test.skip : test;

withRealSets(
  'real sets of NetBSD 9.0 match their own manifests, entry for entry (needs $SMOL_TEST_SETS or ../shared)',
  async (t) => {
    const box = new Sandbox(t);
    box.write('smol.config.yaml', 'release: real\n');
    box.write(
      'sets/real.yaml',
      `description: NetBSD 9.0\nguest: netbsd\nsource: "file:${REAL}/{set}.tgz"\nsets: [rescue, etc]\narchs: {i386: {kernel: none}}\n`,
    );
    box.write(
      'kernels/none.yaml',
      'description: x\nguest: netbsd\narchs: {i386: {source: "file:kernel", machine: microvm}}\n',
    );
    box.write('kernels/kernel', 'no kernel');
    box.write('services/real/service.yaml', 'description: x\nsets: [rescue, etc]\nsize: 64M\n');
    box.write('services/real/etc/rc', '#!/bin/sh\n');
    const result = await box.smol(['build', 'real', '--arch', 'i386']);
    exits(t, result, 0);
    const image = box.path('images/real-i386.img');
    t.is(checkImage(image), '');

    const found = readImage(image);
    const [set1, set2] = textsOf(image, ['etc/mtree/set.rescue', 'etc/mtree/set.etc']);
    const mtree = new Map([...parseMtree(set1!), ...parseMtree(set2!)]);
    t.true(mtree.size > 500, `${mtree.size} entries`);
    const ids = (file: string) =>
      new Map(
        textsOf(image, [file])[0]!
          .split('\n')
          .map((line) => [line.split(':')[0]!, Number(line.split(':')[2])]),
      );
    const [users, groups] = [ids('etc/passwd'), ids('etc/group')];
    // smol's own doing: the service's rc, and a device script that suits ext2.
    const ours = new Set(['etc/rc', 'dev/MAKEDEV']);
    const types: Record<string, string> = { file: 'file', dir: 'directory', link: 'symlink' };
    const firstName = new Map<number, string>();
    const wrong: string[] = [];
    for (const [at, expected] of mtree) {
      const entry = found.get(at);
      if (entry === undefined) {
        wrong.push(`${at} is missing`);
        continue;
      }
      if (ours.has(at)) continue;
      const isFirst = !firstName.has(entry.inode);
      firstName.set(entry.inode, firstName.get(entry.inode) ?? at);
      const differs = (what: string, a: unknown, b: unknown) =>
        a !== b && wrong.push(`${at}: ${what} is ${a}, not ${b}`);
      differs('type', entry.type, types[expected.type]);
      // Symbolic links have no mode of their own; of two names of an inode the first one's mode holds.
      if (expected.type !== 'link' && isFirst) differs('mode', entry.mode.toString(8), expected.mode.toString(8));
      differs('user', entry.uid, users.get(expected.uname));
      differs('group', entry.gid, groups.get(expected.gname));
      if (expected.link !== undefined) differs('target', entry.target, expected.link);
      if (expected.size !== undefined) differs('size', entry.size, expected.size);
      if (expected.sha256 !== undefined) differs('sha256', entry.sha256, expected.sha256);
    }
    t.deepEqual(wrong, []);
    t.log(`${mtree.size} entries of the manifests compared`);

    // On FFS it is the same tree, but for what fstab says; and union mounts work, so the device script is the set's own.
    const bare = (entries: Map<string, FoundEntry>) =>
      new Map(
        [...entries].map(([at, { type, mode, uid, gid, size, sha256, target }]) => [
          at,
          type === 'directory' ? { type, mode, uid, gid } : { type, mode, uid, gid, size, sha256, target },
        ]),
      );
    const [before, fstab] = [bare(found), 'etc/fstab'];
    for (const fs of ['ffs', 'ffs1']) {
      box.write('services/real/service.yaml', `description: x\nsets: [rescue, etc]\nsize: 64M\nfs: ${fs}\n`);
      const built = await box.smol(['build', 'real', '--arch', 'i386']);
      exits(t, built, 0);
      const { complaints, entries, version } = readFfs(image, PARTITION_START);
      t.deepEqual(complaints, []);
      t.is(version, fs === 'ffs' ? 2 : 1);
      const after = bare(entries);
      t.is(after.get(fstab)!.sha256, sha256('NAME=realroot / ffs rw,log,noatime 1 1\n'));
      after.set(fstab, before.get(fstab)!);
      t.is(after.get('dev/MAKEDEV')!.sha256, mtree.get('dev/MAKEDEV')!.sha256);
      after.set('dev/MAKEDEV', before.get('dev/MAKEDEV')!);
      t.deepEqual(new Map([...after].sort()), new Map([...before].sort()));
      t.is(
        execFileSync('sgdisk', ['-i', '1', image], { encoding: 'utf8' }).includes(
          '49F48D5A-B10E-11DC-B99B-0019D1879648',
        ),
        true,
      );
    }
  },
);
