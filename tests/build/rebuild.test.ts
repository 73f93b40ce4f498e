import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { ETC, RESCUE } from '../rig/archives.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, ranSteps, runProgram, Sandbox } from '../rig/sandbox.ts';

/** A project with a rescue service of its own to change. */
async function project(t: Parameters<typeof Mirror.start>[0], name = 'project', rescue = RESCUE) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t, name);
  box.write('smol.config.yaml', await mirror.serveNetbsd({ rescue, etc: ETC }));
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  const build = (...more: string[]) => box.smol(['build', 'rescue', '--arch', 'i386', '--json', ...more]);
  return { mirror, box, build, image: box.path('images/rescue-i386.img') };
}

test.serial('a second build does nothing, and after a change only what the change deserves is done', async (t) => {
  const { mirror, box, build } = await project(t);
  const first = await build();
  exits(t, first, 0);
  t.is(ranSteps(first).length, 16);
  const requests = mirror.requests.length;

  t.deepEqual(ranSteps(await build()), []);
  t.is(mirror.requests.length, requests);

  box.write('services/rescue/etc/rc', `${box.read('services/rescue/etc/rc')}# a line\n`);
  t.deepEqual(ranSteps(await build()), [
    'compose rescue-i386',
    'image rescue-i386',
    'layout rescue-i386',
    'overlay services/rescue/etc',
  ]);

  // Back to what it was: all is known.
  box.write('services/rescue/etc/rc', box.read('services/rescue/etc/rc').replace('# a line\n', ''));
  t.deepEqual(ranSteps(await build()), ['image rescue-i386']);

  // A change that changes nothing: same content, new time and umask.
  box.write('services/rescue/etc/rc', box.read('services/rescue/etc/rc'));
  chmodSync(box.path('services/rescue/etc/rc'), 0o775);
  t.deepEqual(ranSteps(await build()), []);
  box.write('services/rescue/service.yaml', `# a comment\n${box.read('services/rescue/service.yaml')}`);
  t.deepEqual(ranSteps(await build()), []);
});

test.serial('an image that was touched or removed is made again, the same', async (t) => {
  const { build, image } = await project(t);
  await build();
  const digest = sha256(readFileSync(image));
  for (const harm of [
    () => rmSync(image),
    () => writeFileSync(image, 'short'),
    () => writeFileSync(image, Buffer.alloc(20 * 1024 ** 2)),
  ]) {
    harm();
    t.deepEqual(ranSteps(await build()), ['image rescue-i386']);
    t.is(sha256(readFileSync(image)), digest);
  }
});

test.serial('after a small change an image is patched in place, into the bytes that a whole build makes', async (t) => {
  for (const fs of ['ext2', 'ffs']) {
    const { box, build, image } = await project(t);
    box.write('smol.config.yaml', `${box.read('smol.config.yaml')}fs: ${fs}\n`);
    box.write('services/rescue/root/var/big', Buffer.alloc(3_000_000, 'big'));
    exits(t, await build(), 0);
    const inode = () => statSync(image).ino;
    const first = inode();
    /** What is in place now, and what a build without anything in place makes. */
    const isAsWhole = async (message: string) => {
      const found = sha256(readFileSync(image));
      rmSync(image);
      exits(t, await build(), 0);
      t.is(found, sha256(readFileSync(image)), `${fs}: ${message}`);
    };
    const rc = box.read('services/rescue/etc/rc');
    box.write('services/rescue/etc/rc', `${rc}# a line\n`);
    t.deepEqual(ranSteps(await build()), [
      'compose rescue-i386',
      'image rescue-i386',
      'layout rescue-i386',
      'overlay services/rescue/etc',
    ]);
    t.is(inode(), first, 'it is the same file');
    await isAsWhole('one line more');

    // Files that go, come, shrink and grow past their blocks.
    const second = inode();
    box.write('services/rescue/root/var/big', Buffer.alloc(40_000, 'small'));
    box.write('services/rescue/root/var/new/file', Buffer.alloc(500_000, 'new'));
    box.write('services/rescue/etc/rc', rc);
    exits(t, await build(), 0);
    t.is(inode(), second);
    await isAsWhole('files that shrink and come');

    // Whoever has another name for it, as a VM whose disk lies over it, keeps what it had.
    const third = inode();
    linkSync(image, box.path('held.img'));
    const before = sha256(readFileSync(box.path('held.img')));
    box.write('services/rescue/etc/rc', `${rc}# another line\n`);
    exits(t, await build(), 0);
    t.not(inode(), third);
    t.is(sha256(readFileSync(box.path('held.img'))), before);
    rmSync(box.path('held.img'));
    await isAsWhole('one that was held');

    // So does whoever has it open with a lock, as QEMU has.
    const fourth = inode();
    const holder = spawn('flock', [image, 'sh', '-c', 'echo locked; exec sleep 60']);
    t.teardown(() => holder.kill());
    await once(holder.stdout, 'data');
    box.write('services/rescue/etc/rc', `${rc}# one line more\n`);
    exits(t, await build(), 0);
    t.not(inode(), fourth);
    holder.kill();
    await isAsWhole('one that was locked');
  }
});

test.serial('a build that is killed while it patches an image leaves none that counts as done', async (t) => {
  const { box, build, image } = await project(t);
  await build();
  const rc = box.read('services/rescue/etc/rc');
  for (let round = 0; round < 5; round++) {
    box.write('services/rescue/etc/rc', `${rc}# round ${round}\n`);
    box.write('services/rescue/root/var/data', Buffer.alloc(2_000_000, `round ${round}`));
    let killed = false;
    await box.smol(['build', 'rescue', '--arch', 'i386', '--json'], {
      watch: (text, pid) => {
        if (killed || !text.includes('"step-started","step":"image')) return;
        killed = true;
        setTimeout(() => {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It was faster.
          }
        }, round * 4);
      },
    });
    t.true(killed);
    exits(t, await build(), 0);
    const found = sha256(readFileSync(image));
    rmSync(image);
    exits(t, await build(), 0);
    t.is(sha256(readFileSync(image)), found, `round ${round}`);
  }
});

test.serial('an image has holes where it is empty', async (t) => {
  const { build, image } = await project(t);
  await build();
  const { size, blocks } = statSync(image);
  t.is(size, 20 * 1024 ** 2);
  t.true(blocks * 512 < 2 * 1024 ** 2, `${blocks * 512} bytes on the disk`);
});

test.serial('the cache may be deleted, and any byte of it may be damaged', async (t) => {
  const { box, build, image } = await project(t);
  await build();
  const digest = sha256(readFileSync(image));
  rmSync(box.cache, { recursive: true });
  // An image in place needs nothing of the cache.
  const idle = await build();
  exits(t, idle, 0);
  t.regex(idle.stdout, /"build-finished","ok":true,"ran":0/);
  rmSync(image);
  exits(t, await build(), 0);
  t.is(sha256(readFileSync(image)), digest);

  const blobs = path.join(box.cache, 'blobs/content-v2');
  for (const name of readdirSync(blobs, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(blobs, name);
    if (!statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    if (bytes.length === 0) continue;
    bytes[Math.floor(bytes.length / 2)]! ^= 0x20;
    writeFileSync(file, bytes);
  }
  rmSync(image);
  const healed = await build();
  exits(t, healed, 0);
  t.is(sha256(readFileSync(image)), digest);
});

test.serial(
  'the same bytes in another directory, on another day, for another user with another umask, without what is compiled for a host',
  async (t) => {
    const large = [...RESCUE, { name: './rescue/large', content: 'large\n'.repeat(50_000) }];
    const one = await project(t, 'project', large);
    const two = await project(t, 'another project, elsewhere', large);
    exits(t, await one.build(), 0);

    const later = two.box.write(
      'later.mjs',
      `
    import Module from 'node:module';
    const load = Module._load;
    Module._load = function (name, ...rest) {
      if (!name.startsWith('@node-rs/')) return load.call(this, name, ...rest);
      process.on('exit', () => console.error('without ' + name));
      throw new Error('there is none for this host');
    };
    const real = Date.now; const shift = 2 * 86400e3;
    Date.now = () => real() + shift;
    globalThis.Date = class extends Date { constructor(...a) { a.length ? super(...a) : super(real() + shift); } };
  `,
    );
    const isRoot = process.getuid?.() === 0;
    if (isRoot) execFileSync('chown', ['-R', '65534:65534', path.dirname(two.box.folder)]);
    chmodSync(path.dirname(two.box.folder), 0o755);
    const smol = ['node', path.join(packageRoot(), 'build/smol/main.js'), 'build', 'rescue', '--arch', 'i386'];
    const user = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    const result = await runProgram([...user, 'sh', '-c', 'umask 077; exec "$@"', 'sh', ...smol], {
      cwd: two.box.folder,
      env: {
        ...cleanEnvironment(),
        SMOL_CACHE: two.box.cache,
        HOME: two.box.folder,
        NODE_OPTIONS: `--import="${later.replaceAll(' ', '%20')}"`,
        TZ: 'Asia/Tokyo',
        LC_ALL: 'C',
      },
    });
    exits(t, result, 0);
    t.regex(result.stderr, /without @node-rs\/crc32$/m);
    t.is(sha256(readFileSync(two.image)), sha256(readFileSync(one.image)));
    if (isRoot) t.is(statSync(two.image).uid, 65534);
  },
);

test.serial('what V8 compiled is kept, and once more when steps ran', async (t) => {
  const { box, build } = await project(t);
  exits(t, await build(), 0);
  const folder = path.join(box.cache, 'code');
  const kept = () => {
    const [name, ...others] = readdirSync(folder);
    t.deepEqual(others, []);
    return readFileSync(path.join(folder, name!));
  };
  rmSync(folder, { recursive: true });
  exits(t, await build(), 0);
  const idle = kept();
  exits(t, await build(), 0);
  t.true(kept().equals(idle));
  box.write('services/rescue/etc/rc', `${box.read('services/rescue/etc/rc')}# a line\n`);
  exits(t, await build(), 0);
  const busy = kept();
  t.true(busy.length > idle.length);
  box.write('services/rescue/etc/rc', `${box.read('services/rescue/etc/rc')}# another\n`);
  exits(t, await build(), 0);
  exits(t, await build(), 0);
  t.true(kept().equals(busy));
  // Damaged, it is made anew.
  const [name] = readdirSync(folder);
  writeFileSync(path.join(folder, name!), busy.subarray(1));
  exits(t, await build(), 0);
  t.is(sha256(kept().subarray(32)), kept().toString('hex', 0, 32));
});

test.serial('several services are one graph, whose common steps are done once', async (t) => {
  const { box } = await project(t);
  box.write('services/other/service.yaml', 'description: x\nsets: [rescue, etc]\nsize: 20M\n');
  box.write('services/other/etc/rc', '#!/bin/sh\n');
  const result = await box.smol(['build', 'rescue', 'other', '--arch', 'i386', '--json']);
  exits(t, result, 0);
  const steps = ranSteps(result);
  t.is(steps.filter((step) => step.startsWith('unpack')).length, 2);
  t.is(steps.filter((step) => step.startsWith('image')).length, 2);
});

test.serial('two builds at once do not harm each other', async (t) => {
  const { box, build, image } = await project(t);
  const results = await Promise.all([build(), build(), build()]);
  t.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
  );
  const digest = sha256(readFileSync(image));
  rmSync(image);
  await build();
  t.is(sha256(readFileSync(image)), digest);
  t.is([...box.read('smol.lock.yaml').matchAll(/sha256/g)].length, 3);
});

test.serial('an interrupt ends a build at once, with nothing half done', async (t) => {
  const { mirror, box } = await project(t);
  mirror.serve('/pub/NetBSD-daily/netbsd-11/latest/i386/binary/sets/etc.tgz', (_, response) => {
    response.writeHead(200, { 'content-length': 10_000_000 }).write('\x1f\x8b\x08');
  });
  let sent = false;
  const result = await box.smol(['build', 'rescue', '--arch', 'i386'], {
    watch: (text, pid) => {
      if (sent || !text.includes('unpack')) return;
      sent = true;
      process.kill(pid, 'SIGINT');
    },
  });
  t.true(sent);
  exits(t, result, 130);
  t.false(existsSync(box.path('images/rescue-i386.img')));
  t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
});

test.serial('what a killed build left behind is swept by the next', async (t) => {
  const { box, build } = await project(t);
  mkdirSync(path.join(box.cache, 'scratch/.smol-scratch-999999999-abcdef'), { recursive: true });
  mkdirSync(box.path('images/.smol-scratch-999999998-abcdef'), { recursive: true });
  await build();
  t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
  t.deepEqual(readdirSync(box.path('images')), ['rescue-i386.img']);
});
