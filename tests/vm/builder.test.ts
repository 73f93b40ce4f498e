import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { checkImage, readImage, textsOf } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, ranSteps, type Sandbox } from '../rig/sandbox.ts';

/** Scripts in a builder VM, and published disk images: real boots, one at a time. */

const BUILDER = `#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
. /etc/include/linuxrc
`;

/** A project with a builder, and a service `cake` that it bakes. */
function bakery(t: ExecutionContext, more = '', pins = {}): Sandbox {
  const box = linuxProject(t, pins);
  writeService(box, 'oven', BUILDER, 'run: {memory: 192M}\n');
  box.write(
    'services/cake/service.yaml',
    `description: x
postinst: {in: builder, builder: oven, room: 16M, inputs: [data]${more}}
size: auto+1M
directories: [/var]
`,
  );
  box.write('services/cake/data/sub/list.txt', 'a list\n');
  return box;
}

const build = (box: Sandbox, ...more: string[]) => box.smol(['build', 'cake', '--arch', 'amd64', ...more]);

/** The processes whose command lines hold a word. */
function processesWith(word: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word);
    } catch {
      return false;
    }
  });
}

test.serial(
  'what a script does in a builder is in the image; each is a step, and what failed is where it goes on',
  async (t) => {
    const box = bakery(t);
    // The cache outlives a run of the tests: these scripts are nobody else's.
    const once = `# ${Date.now()}`;
    box.write(
      'services/cake/postinst/1.sh',
      `set -e ${once}
mkdir -p bin usr/lib; cp /bin/busybox bin/busybox
chroot . /bin/busybox sh -c 'echo "$(id -u) in $(pwd)" > /var/who'
cat ../service/cake/data/sub/list.txt > var/list
chown 24:70000 var/list; chmod 4750 var/list
mknod dev/null2 c 2 300; ln bin/busybox bin/again; ln -s ../var/list usr/list
echo "$ARCH $SVCIMG" > var/env; echo 'the first is done'
`,
    );
    box.write('services/cake/postinst/2.sh', 'echo second; echo oh no >&2; exit 3\n');
    const failed = await build(box);
    exits(t, failed, 1);
    t.regex(failed.stderr, /the first is done/);
    t.regex(
      failed.stderr,
      /error\[script-failed\]: services\/cake\/postinst\/2\.sh exited with 3\n {2}\| second\n {2}\| oh no\n {2}fix: .*smol shell/,
    );
    // A shell where it failed: in the VM, in the tree that it got.
    const shell = spawnSync(
      process.execPath,
      [path.join(packageRoot(), 'build/smol/main.js'), 'shell', 'cake', '--arch', 'amd64'],
      {
        cwd: box.folder,
        env: { ...cleanEnvironment(), SMOL_CACHE: box.cache } as NodeJS.ProcessEnv,
        input: 'cat var/who; head -c 11 $IN/script.sh; exit 7\n',
        encoding: 'utf8',
      },
    );
    t.is(shell.status, 7, shell.stderr);
    t.regex(shell.stdout, /^0 in \/\r?$/m);
    t.regex(shell.stdout, /^echo second/m);

    box.write('services/cake/postinst/2.sh', `rm var/who ${once}\n`);
    const mended = await build(box, '--json');
    exits(t, mended, 0);
    const scripts = (result: typeof mended) => ranSteps(result).filter((step) => /^services.*postinst/.test(step));
    t.deepEqual(scripts(mended), ['services/cake/postinst/2.sh of cake-amd64']);
    const image = box.path('images/cake-amd64.img');
    t.is(checkImage(image), '');
    const found = readImage(image);
    t.like(found.get('var/list'), { mode: 0o4750, uid: 24, gid: 70000 });
    t.like(found.get('usr/list'), { type: 'symlink', target: '../var/list' });
    t.is(found.get('bin/busybox')!.inode, found.get('bin/again')!.inode);
    t.true(found.has('dev/null2'));
    t.false(found.has('var/who'));
    t.false(found.has('lost+found'));
    t.deepEqual(textsOf(image, ['var/list', 'var/env']), ['a list\n', 'amd64 cake\n']);
    t.regex((await box.smol(['du', 'cake', '--arch', 'amd64'])).stdout, /services\/cake\/postinst\/1\.sh$/m);
    t.deepEqual(ranSteps(await build(box, '--json')), []);
    // What goes in counts: a file that it may read, and the builder itself.
    box.write('services/cake/data/sub/list.txt', 'another list\n');
    t.deepEqual(scripts(await build(box, '--json')).length, 2);
    t.deepEqual(textsOf(image, ['var/list']), ['another list\n']);
    box.write('services/oven/etc/rc', `${BUILDER}# changed\n`);
    t.is(scripts(await build(box, '--json')).length, 2);
  },
);

test.serial('scripts in a builder that hang, fill the disk, cut the VM off, or lose smol', async (t) => {
  const box = bakery(t, ', timeout: 12');
  const script = (text: string) => box.write('services/cake/postinst/1.sh', text);
  script('echo begun; while :; do :; done\n');
  const hung = await build(box);
  exits(t, hung, 1);
  t.regex(
    hung.stderr,
    /error\[script-timed-out\]: services\/cake\/postinst\/1\.sh was still running after 12 seconds, and was ended\n {2}\| begun/,
  );
  script('dd if=/dev/zero of=var/zeros bs=1M || exit 9\n');
  const full = await build(box);
  exits(t, full, 1);
  t.regex(full.stderr, /error\[script-failed\]: .* exited with 9\n(.*\n)*.*No space left on device/);
  script('poweroff -f; sleep 9\n');
  t.regex(
    (await build(box)).stderr,
    /error\[builder-unfinished\]: the builder VM ended before services\/cake\/postinst\/1\.sh did/,
  );
  script('sleep 30 < /dev/null > var/log 2>&1 &\ncd var && exec sleep 1 3< .\n');
  t.regex((await build(box)).stderr, /error\[builder-broke\]: the builder VM could not work with the disk/);
  // Whoever kills smol leaves no VM.
  script('sleep 60\n');
  const running = box.start(t, ['build', 'cake', '--arch', 'amd64', '--json']);
  await running.until(/"step-started","step":"services/);
  const isThere = () => processesWith(path.join(box.cache, 'scratch')).length > 0;
  for (let n = 0; n < 100 && !isThere(); n++) await sleep(50);
  t.true(isThere());
  running.signal('SIGKILL');
  await running.ended;
  for (let n = 0; n < 100 && isThere(); n++) await sleep(50);
  t.false(isThere());
  script('echo fine > var/fine\n');
  exits(t, await build(box), 0);
});

test.serial('what a script in a builder takes from the network is pinned; there is no other network', async (t) => {
  const box = bakery(t, ', network: true', { leavesPins: false });
  const mirror = await Mirror.start(t);
  const text = `page of ${Date.now()}\n`;
  mirror.serve('/page', text);
  box.write('smol.config.yaml', `release: debian\nmirrors: {"http://pages.test/": "${mirror.url}/"}\n`);
  box.write(
    'services/cake/postinst/1.sh',
    `set -e # ${text}
wget -q -O var/page http://pages.test/page
! http_proxy= wget -q -T 3 -O - http://10.0.2.2:${new URL(mirror.url).port}/page
`,
  );
  const result = await build(box);
  exits(t, result, 0);
  t.deepEqual(textsOf(box.path('images/cake-amd64.img'), ['var/page']), [text]);
  t.regex(box.read('smol.lock.yaml'), /- http:\/\/pages\.test\/page\n/);
  t.regex((await build(box)).stderr, /up to date/);
});

test.serial('smol imgbuilder bakes a service, and smol run of it answers HTTP', async (t) => {
  const box = linuxProject(t);
  const baked = await box.smol(['imgbuilder', 'baked', '--arch', 'amd64']);
  exits(t, baked, 0);
  t.is(checkImage(box.path('images/baked-amd64.img')), '');
  const again = await box.smol(['build', 'linuxbuilder', '--svcimg', 'baked', '--arch', 'amd64']);
  t.regex(again.stderr, /up to date/);
  const run = await box.smol(['run', 'baked', '-d', '--arch', 'amd64', '-p', '18387:80']);
  exits(t, run, 0);
  t.regex(await (await fetch('http://127.0.0.1:18387/')).text(), /baked for amd64/);
  exits(t, await box.smol(['stop', 'baked']), 0);
  const wrong = await box.smol(['imgbuilder', 'hello']);
  exits(t, wrong, 2);
  t.regex(wrong.stderr, /error\[not-baked\]: no VM builds hello\n {2}fix: `smol build hello`/);
  t.regex(
    (await box.smol(['build', 'imgbuilder', '--svcimg', 'baked'])).stderr,
    /fix: smol build linuxbuilder --svcimg baked/,
  );
});

test.serial(
  'a published disk image: the newest of a directory, checked, pinned, kept pristine, grown for one VM',
  async (t) => {
    const box = linuxProject(t, { leavesPins: false });
    writeService(
      box,
      'shell',
      `${BUILDER}echo "the disk has $(cat /sys/class/block/vda/size) sectors"\ntouch /written\n`,
      '',
    );
    exits(t, await box.smol(['build', 'shell', '--arch', 'amd64']), 0);
    const published = readFileSync(box.path('images/shell-amd64.img'));
    rmSync(box.path('services/shell'), { recursive: true });
    const mirror = await Mirror.start(t);
    const packed = gzipSync(published);
    const digest = execFileSync('sha512sum', { input: packed, encoding: 'utf8' }).split(' ')[0]!;
    const sums = (hex: string) => mirror.serve('/images/SHA512', `SHA512 (Live-1.10-disk.img.gz) = ${hex}\n`);
    mirror.serve(
      '/images/',
      '<a href="../">up</a> <a href="Live-1.9-disk.img.gz">9</a> <A HREF="/images/Live-1.10-disk.img.gz">10</A> <a href="SHA512">sums</a>',
    );
    mirror.serve('/images/Live-1.10-disk.img.gz', packed);
    box.write(
      'services/whole/service.yaml',
      `description: x
disk: {source: "${mirror.url}/images/Live-*-disk.img.gz", checksums: SHA512, root: shellroot}
run: {ready: {console: sectors}}
`,
    );
    sums(digest.replace(/^./, (first) => (first === '0' ? '1' : '0')));
    const wrong = await box.smol(['build', 'whole', '--arch', 'amd64']);
    exits(t, wrong, 4);
    t.regex(wrong.stderr, /error\[wrong-checksum\]/);
    sums(digest);
    const built = await box.smol(['build', 'whole', '--arch', 'amd64']);
    exits(t, built, 0);
    const image = box.path('images/whole-amd64.img');
    t.true(readFileSync(image).equals(published));
    t.regex(
      box.read('smol.lock.yaml'),
      /Live-\*-disk\.img\.gz:\n {4}sha256: \w+\n {4}size: \d+\n {4}file: Live-1\.10-disk\.img\.gz/,
    );

    const run = (...more: string[]) => box.smol(['run', 'whole', '-d', '--arch', 'amd64', ...more]);
    const first = await run('--grow', '64M');
    exits(t, first, 0);
    const sectors = published.length / 512 + (64 * 1024 ** 2) / 512;
    t.regex(first.stdout, new RegExp(`the disk has ${sectors} sectors`));
    exits(t, await box.smol(['stop', 'whole']), 0);
    t.true(readFileSync(image).equals(published), 'it is as it was published');
    const there = await run('--grow', '128M');
    exits(t, there, 2);
    t.regex(there.stderr, /error\[disk-there\]: the VM whole has a disk already.*\n.*--fresh/);

    // A newer one appears: what is pinned stays until it is asked for.
    mirror.serve('/images/', '<a href="Live-1.11-disk.img.gz">11</a>');
    mirror.serve('/images/Live-1.11-disk.img.gz', gzipSync(published, { level: 1 }));
    mirror.serve('/images/SHA512', '');
    t.regex((await box.smol(['build', 'whole', '--arch', 'amd64'])).stderr, /up to date/);
    mirror.serve('/images/', '<html>nothing here</html>');
    const none = await box.smol(['update', `${mirror.url}/images/Live-*-disk.img.gz`]);
    t.regex(none.stderr, /error\[nothing-listed\]: http:\S+\/images\/ lists nothing that \S+ could stand for/);
    t.true(box.read('smol.lock.yaml').includes('Live-1.10-disk.img.gz'), 'the old pin stays');
  },
);

test('what does not go together in a service, and what is not there', async (t) => {
  const box = linuxProject(t);
  const told = async (yaml: string) => {
    box.write('services/odd/service.yaml', `description: x\n${yaml}`);
    const result = await box.smol(['build', 'odd', '--arch', 'amd64', '--dry-run']);
    exits(t, result, 2);
    return result.stderr;
  };
  t.regex(
    await told('disk: {source: "file:x.img", root: r}\nsets: [busybox-static]\n'),
    /error\[conflicting-keys\]: .*disk.*sets|sets.*disk/,
  );
  t.regex(
    await told('postinst: {in: builder, builder: nobody}\n'),
    /error\[unknown-service\]: there is no service "nobody"(.*\n)*.*service\.yaml:2:\d+/,
  );
  t.regex(await told('postinst: {in: builder, builder: odd}\n'), /error\[cycle\]/);
  t.regex(await told('postinst: {in: builder, builder: hello, room: much}\n'), /service\.yaml:2:\d+/);
  copyFileSync(process.execPath, box.path('services/odd/x.img.gz'));
  box.write('services/odd/service.yaml', 'description: x\ndisk: {source: "file:x.img.gz", root: r}\n');
  const result = await box.smol(['build', 'odd', '--arch', 'amd64']);
  t.not(result.code, 0);
  t.regex(result.stderr, /error\[not-an-archive\]: file:x\.img\.gz is not a gzip file/);
  t.false(existsSync(box.path('images/odd-amd64.img')));
});
