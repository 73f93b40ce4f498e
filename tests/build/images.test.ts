import { execFileSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { PARTITION_START } from '../../formats/gpt.ts';
import { checkImage, readImage } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

/** A project with an image of two sets and a few files of its own. */
async function built(t: ExecutionContext, fs: string) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', `${await mirror.serveNetbsd()}arch: amd64\nfs: ${fs}\n`);
  box.write(
    'services/web/service.yaml',
    'description: x\nsets: [rescue, etc]\nsize: 8M\nlinks: {/bin/sh: /rescue/sh, /www: /var/www}\nfiles: {/etc/secret: {mode: "4750", owner: "7:13"}}\n',
  );
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  box.write('services/web/etc/secret', 'a secret\n');
  box.write('services/web/root/var/www/index.html', '<h1>hello</h1>\n');
  const result = await box.smol(['build', 'web']);
  exits(t, result, 0);
  return { box, image: box.path('images/web-amd64.img') };
}

/** Writes other bytes into a file, in place. */
function overwrite(file: string, position: number, bytes: Buffer): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, bytes, 0, bytes.length, position);
  closeSync(handle);
}

for (const fs of ['ext2', 'ffs', 'ffs1']) {
  test.serial(`${fs}: what an image has can be listed and read`, async (t) => {
    const { box } = await built(t, fs);
    const etc = await box.smol(['ls', 'web', '/etc']);
    exits(t, etc, 0);
    t.regex(etc.stdout, /^-rwsr-x---\s+1\s+7\s+13\s+9\s+\S+ \S+\s+\/etc\/secret$/m);
    t.regex(etc.stdout, /^-r-xr-xr-x .* \/etc\/MAKEDEV\.local$/m);
    t.false(etc.stdout.includes('/etc/include/basicrc'), 'only one level');
    t.true((await box.smol(['ls', '-r', 'web', '/etc'])).stdout.includes('/etc/include/basicrc'));
    t.regex((await box.smol(['ls', 'images/web-amd64.img', '/bin/sh'])).stdout, /^lrwx.* \/bin\/sh -> \/rescue\/sh$/m);
    const all = JSON.parse((await box.smol(['ls', 'web-amd64', '--json', '--recursive'])).stdout);
    t.is(all.find((entry: { path: string }) => entry.path === 'rescue/init').links, 3);

    t.is((await box.smol(['cat', 'web', '/etc/secret'])).stdout, 'a secret\n');
    // By way of links, of the last part and of one before it.
    t.is((await box.smol(['cat', 'web', 'www/index.html'])).stdout, '<h1>hello</h1>\n');
    t.is((await box.smol(['cat', 'web', '/bin/../bin/sh'])).stdout, 'init\n'.repeat(2000));
  });

  test.serial(`${fs}: an image is verified byte for byte, and what was changed in it is named`, async (t) => {
    const { box, image } = await built(t, fs);
    const good = await box.smol(['verify', 'web']);
    exits(t, good, 0);
    t.regex(good.stdout, /every byte compared/);

    const content = readFileSync(image).indexOf('<h1>hello</h1>');
    overwrite(image, content + 4, Buffer.from('HELLO'));
    const changed = await box.smol(['verify', 'web']);
    exits(t, changed, 4);
    t.true(
      changed.stdout.includes(`✗ byte ${content + 4}, of /var/www/index.html, is not what it was made to be`),
      changed.stdout,
    );

    overwrite(image, content + 4, Buffer.from('hello'));
    overwrite(image, 512 + 60, Buffer.from('x'));
    const table = await box.smol(['verify', 'web', '--json']);
    exits(t, table, 4);
    const { wrong } = JSON.parse(table.stdout) as { wrong: string[] };
    t.deepEqual(wrong, [
      'the primary GPT has a wrong checksum',
      'byte 572, of the partition table, is not what it was made to be',
    ]);
  });
}

test.serial('two images are told apart: what was added, removed and changed, and what brought it', async (t) => {
  const { box, image } = await built(t, 'ffs');
  const before = box.path('before.img');
  copyFileSync(image, before);
  const same = await box.smol(['diff', 'before.img', 'web']);
  exits(t, same, 0);
  t.is(same.stdout, 'the same, byte for byte\n');

  box.write('services/web/root/var/www/index.html', '<h1>HELLO</h1>\n');
  box.write('services/web/root/var/www/new.html', 'new\n');
  box.write('services/web/service.yaml', box.read('services/web/service.yaml').replace('4750', '0640'));
  rmSync(box.path('services/web/etc/secret'));
  box.write('services/web/etc/secret', 'a longer secret\n');
  exits(t, await box.smol(['build', 'web']), 0);
  const found = await box.smol(['diff', 'before.img', 'web']);
  exits(t, found, 1);
  t.regex(
    found.stdout,
    /^~ \/etc\/secret +mode -rwsr-x--- -> -rw-r-----; size 9 bytes -> 16 bytes +\(services\/web\/etc\)$/m,
  );
  t.regex(found.stdout, /^~ \/var\/www\/index\.html +other content, 15 bytes +\(services\/web\/root\)$/m);
  t.regex(found.stdout, /^\+ \/var\/www\/new\.html +file, -rw-r--r-- 0:0, 4 bytes +\(services\/web\/root\)$/m);
  t.regex(found.stdout, /^3 differences$/m);
  const back = await box.smol(['diff', 'web', 'before.img', '--json']);
  t.deepEqual(
    (JSON.parse(back.stdout) as { changes: { path: string; change: string }[] }).changes.map(
      ({ path, change }) => `${change} ${path}`,
    ),
    ['content etc/secret', 'content var/www/index.html', 'removed var/www/new.html'],
  );

  // The same tree, other bytes: where the images differ first.
  copyFileSync(image, before);
  overwrite(before, statSync(before).size - 1, Buffer.from('x'));
  const byte = await box.smol(['diff', 'before.img', 'web']);
  exits(t, byte, 1);
  t.is(
    byte.stdout,
    `the files are the same; the images differ first in byte ${statSync(image).size - 1}, of the partition table\n`,
  );
});

test.serial('what fills an image: by directory, and by what brought it', async (t) => {
  const { box, image } = await built(t, 'ffs');
  const report = JSON.parse((await box.smol(['du', 'web', '--json'])).stdout);
  const share = (list: { name: string }[], name: string) => list.find((each) => each.name === name);
  t.deepEqual(share(report.layers, 'the set rescue'), { name: 'the set rescue', size: 10_000, files: 1 });
  t.deepEqual(share(report.layers, 'services/web/root'), { name: 'services/web/root', size: 15, files: 1 });
  t.deepEqual(share(report.directories, '/rescue'), { name: '/rescue', size: 10_000, files: 1 });
  t.like(share(report.directories, '/var'), { files: 1 });
  t.is(report.size, statSync(image).size);
  t.is(report.contents + report.slack + report.tables + report.free, report.size);
  const sum = report.layers.reduce((total: number, { size }: { size: number }) => total + size, 0);
  t.is(sum, report.contents);
  const text = await box.smol(['du', 'images/web-amd64.img', '--depth', '1']);
  t.regex(text.stdout, /^8 MiB, FFSv2; .* on this host$/m);
  t.regex(text.stdout, /^ +9\.8 KiB {2}1 file +\/rescue$/m);
});

test.serial('sizes: as small as can be, and so much more', async (t) => {
  const { box, image } = await built(t, 'ext2');
  const manifest = box.read('services/web/service.yaml');
  const sized = async (words: string) => {
    box.write('services/web/service.yaml', manifest.replace('size: 8M', words));
    const result = await box.smol(['build', 'web']);
    exits(t, result, 0);
    // sgdisk would have a partition of a tiny disk end elsewhere; it is clean all the same.
    t.regex(checkImage(image) || 'No problems found', /No problems found/);
    t.true(readImage(image).has('rescue/init'));
    return statSync(image).size / 1024 ** 2;
  };
  t.is(await sized('size: auto'), 2);
  t.is(await sized('minimize: true'), 2);
  t.is(await sized('size: auto+10%'), 2);
  const more = await sized('size: auto+64M');
  t.true(more > 66 && more < 72, `${more} MiB`);
  const { free } = JSON.parse((await box.smol(['du', 'web', '--json'])).stdout) as { free: number };
  t.true(free >= 64 * 1024 ** 2 && free < 66 * 1024 ** 2, `${free} bytes free`);
});

test.serial('an image grows: its file, its GPT, and by their own tools its file system', async (t) => {
  const { box, image } = await built(t, 'ext2');
  const live = box.path('live.img');
  copyFileSync(image, live);
  const result = await box.smol(['image', 'grow', 'live.img', '+300M']);
  exits(t, result, 0);
  t.regex(result.stdout, /^live\.img: 8 MiB -> 308 MiB, with its last partition/);
  t.is(statSync(live).size, 308 * 1024 ** 2);
  const verdict = execFileSync('sgdisk', ['-v', live], { encoding: 'utf8' });
  t.regex(verdict, /No problems found/);
  t.regex(execFileSync('sgdisk', ['-i', '1', live], { encoding: 'utf8' }), /Partition name: 'webroot'/);
  // Its files are where they were; and there is room for the file system to grow into.
  t.is((await box.smol(['cat', 'live.img', '/etc/secret'])).stdout, 'a secret\n');
  const partition = box.path('partition');
  writeFileSync(partition, readFileSync(live).subarray(PARTITION_START));
  execFileSync('resize2fs', ['-f', partition], { stdio: 'pipe' });
  execFileSync('e2fsck', ['-fn', partition], { stdio: 'pipe' });
  t.regex(
    execFileSync('dumpe2fs', ['-h', partition], { encoding: 'utf8', stdio: 'pipe' }),
    /^Block count: +7[89]\d{3}$|^Block count: +31\d{4}$/m,
  );

  // By a little, so that the new backup table overlaps the old one; and a disk without any GPT.
  exits(t, await box.smol(['image', 'grow', 'live.img', '1M']), 0);
  t.regex(execFileSync('sgdisk', ['-v', live], { encoding: 'utf8' }), /No problems found/);
  box.write('bare.img', Buffer.alloc(1024 * 1024));
  const bare = await box.smol(['image', 'grow', 'bare.img', '+1M']);
  exits(t, bare, 0);
  t.is(statSync(box.path('bare.img')).size, 2 * 1024 ** 2);
  t.regex(bare.stdout, /it has no GPT/);
});

test.serial('what cannot be looked into, and is not there', async (t) => {
  const { box, image } = await built(t, 'ffs');
  const told = async (...args: string[]) => {
    const result = await box.smol(args);
    return `${result.code} ${result.stderr.trim()}`;
  };
  t.is(
    await told('ls', 'wbe-amd64'),
    '2 error[no-such-image]: there is no image wbe-amd64 (did you mean "web-amd64"?)\n  fix: give the path of one, or the name of a service that was built',
  );
  t.is(
    await told('ls', 'hello'),
    '2 error[no-such-image]: there is no image hello\n  fix: `smol build hello` makes it',
  );
  t.is(
    await told('cat', 'web', '/etc/sekret'),
    '2 error[no-such-path]: web has no /etc/sekret (did you mean "etc/secret"?)\n  fix: `smol ls -r web` lists all that it has',
  );
  t.is(
    await told('cat', 'web', '/etc'),
    '2 error[not-a-file]: /etc of web is a directory, which has no contents to show\n  fix: `smol ls web /etc` shows it',
  );
  box.write('noise.img', Buffer.alloc(100_000, 'noise'));
  t.is(
    await told('ls', 'noise.img'),
    '4 error[broken-image]: noise.img cannot be read: it holds no file system that smol can read: ext2, ext3 or FFS',
  );
  t.regex(await told('image', 'grow', 'web', '4'), /^2 error\[usage\]: .*It must be a size such as \+4G/);
  linkSync(image, box.path('other-name.img'));
  t.regex(await told('image', 'grow', 'web', '+1G'), /^3 error\[image-held\]: images\/web-amd64\.img is in use/);
  t.is(statSync(image).size, 8 * 1024 ** 2);
  // Outside any project a path is enough.
  const outside = await box.smol(['cat', image, '/etc/secret'], { cwd: '/' });
  t.is(outside.stdout, 'a secret\n', outside.stderr);
  t.regex((await box.smol(['ls', 'web'], { cwd: '/' })).stderr, /no-such-image/);
});

test.serial('an image of one set alone, and of a script that changes nothing', async (t) => {
  const { box } = await built(t, 'ext2');
  box.write(
    'services/one/service.yaml',
    'description: x\nsets: [rescue]\nsize: 4M\nfiles: {/etc/rc: {content: "x"}}\n',
  );
  box.write('services/one/postinst/1.sh', 'true\n');
  exits(t, await box.smol(['build', 'one']), 0);
  exits(t, await box.smol(['verify', 'one']), 0);
  t.regex((await box.smol(['du', 'one'])).stdout, /1 file +the set rescue$/m);
});
