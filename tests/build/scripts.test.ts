import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { ETC, RESCUE } from '../rig/archives.ts';
import { checkImage, readImage, textsOf } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, ranSteps, runProgram, Sandbox } from '../rig/sandbox.ts';

/** Scripts at build time, each confined and a step of its own. */

async function project(t: ExecutionContext, more = '') {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', `${await mirror.serveNetbsd({ rescue: RESCUE, etc: ETC })}arch: amd64\nfs: ext2\n`);
  box.write('services/web/service.yaml', `description: x\nsets: [rescue, etc]\nsize: 8M\n${more}`);
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  const image = box.path('images/web-amd64.img');
  const build = () => box.smol(['build', 'web', '--json']);
  return { mirror, box, image, build };
}

test.serial(
  'owners, modes, devices and links that a script makes, without root, are in the image; all else is as it was',
  async (t) => {
    const { box, image, build } = await project(t);
    exits(t, await build(), 0);
    const before = readImage(image);
    box.write(
      'services/web/postinst/10-users.sh',
      `set -e
echo 'www:*:24:24::0:0::/:/sbin/nologin' >> etc/master.passwd
mkdir -p var/www
echo locked > var/locked; chmod 0 var/locked; mkdir var/closed; echo x > var/closed/in; chmod 0 var/closed
echo hello > var/www/index.html
chown -R 24:24 var/www; chmod 2770 var/www; chmod 0640 var/www/index.html
mknod dev/null2 c 2 2; chown 0:5 dev/null2; mkfifo var/queue
cp rescue/init bin/su; chmod 4555 bin/su; chown 0:70000 bin/su
ln bin/su bin/su2; ln -s ../var/www etc/www
rm etc/dumpdates
echo "$ARCH $PKGVERS $HOME $(id -u)" > etc/env
`,
    );
    const result = await build();
    exits(t, result, 0);
    t.is(checkImage(image), '');
    const found = readImage(image);
    t.like(found.get('var/www'), { mode: 0o2770, uid: 24, gid: 24 });
    t.like(found.get('var/locked'), { mode: 0, sha256: sha256('locked\n') });
    t.like(found.get('var/closed/in'), { type: 'file' });
    t.like(found.get('var/www/index.html'), { mode: 0o640, uid: 24, gid: 24, sha256: sha256('hello\n') });
    t.like(found.get('bin/su'), { mode: 0o4555, uid: 0, gid: 70000, sha256: found.get('rescue/init')!.sha256 });
    t.is(found.get('bin/su')!.inode, found.get('bin/su2')!.inode);
    t.like(found.get('dev/null2'), { mode: 0o644, gid: 5 });
    t.like(found.get('etc/www'), { type: 'symlink', target: '../var/www' });
    t.false(found.has('etc/dumpdates'));
    t.is(textsOf(image, ['etc/env'])[0], 'amd64 11 /tmp 0\n');
    // What it did not touch: hard links, setgid, times and all.
    const bare = (entries: typeof found, name: string) => {
      const { inode: _, ...rest } = entries.get(name)!;
      return rest;
    };
    for (const name of ['rescue/sh', 'rescue/init', 'var/games', 'tmp', 'etc/rc']) {
      t.deepEqual(bare(found, name), bare(before, name), name);
    }
    t.is(new Set(['init', 'sh', 'mount_ext2fs'].map((each) => found.get(`rescue/${each}`)?.inode)).size, 1);
    t.regex((await box.smol(['du', 'web'])).stdout, /services\/web\/postinst\/10-users\.sh/);
    const verified = await box.smol(['build', 'web', '--verify']);
    exits(t, verified, 0);
  },
);

test.serial(
  'each script is a step: a change of the last runs no other, and a failure resumes where it was',
  async (t) => {
    const { box, image, build } = await project(t, 'postinst: {inputs: [data/list.txt]}\n');
    box.write('services/web/data/list.txt', 'a list\n');
    for (const n of [1, 2, 3]) box.write(`services/web/postinst/${n}.sh`, `echo ${n} >> etc/order\n`);
    const first = await build();
    exits(t, first, 0);
    t.is(textsOf(image, ['etc/order'])[0], '1\n2\n3\n');

    box.write('services/web/postinst/3.sh', 'cat ../service/web/data/list.txt >> etc/order; echo oh no >&2; exit 3\n');
    const failed = await box.smol(['build', 'web']);
    exits(t, failed, 1);
    t.regex(
      box.told(failed),
      /error\[script-failed\]: services\/web\/postinst\/3\.sh exited with 3\n {2}\| oh no\n {2}fix: mend it and build again: what came before it is cached/,
    );
    // A shell where it failed: the tree that it got, its files, and the script; by default at the one that failed.
    const shell = (words: string, ...args: string[]) =>
      execFileSync(process.execPath, [path.join(packageRoot(), 'build/smol/main.js'), 'shell', 'web', ...args], {
        cwd: box.folder,
        env: { ...cleanEnvironment(), SMOL_CACHE: box.cache } as NodeJS.ProcessEnv,
        input: words,
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'pipe'],
      });
    t.is(
      shell('cat etc/order ../service/web/data/list.txt; tail -c 7 ../script.sh; id -u'),
      '1\n2\na list\nexit 3\n0\n',
    );
    t.is(shell('cat etc/order', '--at', '2.sh'), '1\n');
    t.regex(
      (await box.smol(['shell', 'web', '--at', '4.sh'])).stderr,
      /no-such-script.*it has services\/web\/postinst\/1\.sh/s,
    );

    box.write('services/web/postinst/3.sh', 'cat ../service/web/data/list.txt >> etc/order\n');
    const mended = ranSteps(await build());
    t.deepEqual(
      mended.filter((step) => step.includes('postinst') && !step.startsWith('fetch')),
      ['services/web/postinst/3.sh of web-amd64'],
    );
    t.is(textsOf(image, ['etc/order'])[0], '1\n2\na list\n');
    // What a script may read is what is declared; a change of it counts.
    box.write('services/web/data/list.txt', 'another list\n');
    exits(t, await build(), 0);
    t.is(textsOf(image, ['etc/order'])[0], '1\n2\nanother list\n');
    t.deepEqual(ranSteps(await build()), []);
  },
);

test.serial('a script sees nothing of the host, and can do nothing to it', async (t) => {
  const { box, image, build } = await project(t);
  const secret = box.write('secret', 'the secret of the host');
  box.write('services/web/private.txt', 'not declared');
  box.write(
    'services/web/postinst/attack.sh',
    `exec > etc/report 2>&1
cat ${secret} && echo READ-SECRET
ls -a /root /home /etc/ssh /var /work/service/web 2>&1 && echo LISTED
touch /usr/x /bin/x && echo WROTE-HOST
cat /etc/passwd /etc/shadow && echo READ-PASSWD
kill -9 ${process.pid} && echo KILLED
echo "processes: $(ls /proc | grep -c '^[0-9]')"
cat /sys/class/net/eth0/address && echo NET
(exec 3<>/dev/tcp/127.0.0.1/22) && echo CONNECTED
mount -t tmpfs x /tmp && echo MOUNTED
ln -s /etc/passwd etc/outside; echo x >> etc/outside && echo FOLLOWED
mkdir /work/escape; echo ../../ok
env | sort
`,
  );
  const result = await build();
  exits(t, result, 0);
  const [report] = textsOf(image, ['etc/report']);
  t.notRegex(
    report!,
    /the secret of the host|READ-SECRET|LISTED|WROTE-HOST|READ-PASSWD|NET|CONNECTED|MOUNTED|KILLED|root:x|not declared/,
  );
  t.true(Number(/processes: (\d+)/.exec(report!)![1]) < 12, 'only its own');
  t.false(report!.includes('SMOL_'), report);
  t.false(existsSync('/usr/x'));
});

test.serial('a script that hangs, one that fills its disk, and a host that cannot confine', async (t) => {
  const { box } = await project(t, 'postinst: {timeout: 2}\n');
  const failing = async (script: string, env: Record<string, string> = {}) => {
    box.write('services/web/postinst/a.sh', script);
    const result = await box.smol(['build', 'web'], { env });
    t.not(result.code, 0);
    return box.told(result);
  };
  t.regex(
    await failing('sleep 1000\n'),
    /error\[script-timed-out\]: services\/web\/postinst\/a\.sh was still running after 2 seconds, and was ended/,
  );
  t.regex(await failing('dd if=/dev/zero of=/dev/full bs=1k count=1\n'), /script-failed.*No space left/s);
  const bin = box.path('bin');
  for (const program of ['sh', 'tar', 'xz', 'fakeroot']) {
    box.write(
      `bin/${program}`,
      `#!/bin/sh\nexec ${execFileSync('which', [program], { encoding: 'utf8' }).trim()} "$@"\n`,
      0o755,
    );
  }
  box.write(
    'bin/bwrap',
    '#!/bin/sh\necho "bwrap: No permissions to create new namespace, likely because the kernel does not allow it" >&2\nexit 1\n',
    0o755,
  );
  t.regex(
    await failing('true\n', { PATH: bin }),
    /error\[unconfinable\]: this host does not let scripts be confined, so they are not run/,
  );
});

test.serial('a finalizer runs last, and is pinned; one that anybody could replace is refused', async (t) => {
  const { mirror, box, image, build } = await project(t);
  mirror.serve('/finish.sh', 'echo finished >> etc/order\n');
  box.write('services/web/postinst/1.sh', 'echo 1 >> etc/order\n');
  const manifest = box.read('services/web/service.yaml');
  const digest = sha256('echo finished >> etc/order\n');
  box.write('services/web/service.yaml', `${manifest}finalizer: {url: "${mirror.url}/finish.sh"}\n`);
  const refused = await box.smol(['build', 'web']);
  exits(t, refused, 2);
  t.regex(
    refused.stderr,
    /error\[unpinned-finalizer\]: .* is not encrypted, so anybody on the way could replace the script\n.*service\.yaml:4/,
  );
  const withDigest = (hex: string) =>
    box.write('services/web/service.yaml', `${manifest}finalizer: {url: "${mirror.url}/finish.sh", sha256: ${hex}}\n`);
  withDigest('0'.repeat(64).replace(/^0/, 'a'));
  t.regex((await box.smol(['build', 'web'])).stderr, /wrong-checksum.*service\.yaml says sha256 a000/s);
  withDigest(digest);
  const result = await build();
  exits(t, result, 0);
  t.is(textsOf(image, ['etc/order'])[0], '1\nfinished\n');
  t.true(box.read('smol.lock.yaml').includes('/finish.sh'));
});

const unprivileged = process.getuid?.() === 0 ? test : test.skip;

unprivileged('as a user that is nobody the same bytes come out (needs root, to become that user)', async (t) => {
  const one = await project(t);
  const two = await project(t);
  for (const { box } of [one, two])
    box.write('services/web/postinst/1.sh', 'chown 7:13 etc/rc; mknod dev/x c 1 3; echo x > etc/x\n');
  exits(t, await one.build(), 0);
  execFileSync('chown', ['-R', '65534:65534', path.dirname(two.box.folder)]);
  chmodSync(path.dirname(two.box.folder), 0o755);
  const main = path.join(packageRoot(), 'build/smol/main.js');
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, main, 'build', 'web'];
  const result = await runProgram(user, {
    cwd: two.box.folder,
    env: { ...cleanEnvironment(), SMOL_CACHE: two.box.cache, HOME: two.box.folder },
  });
  exits(t, result, 0);
  t.is(sha256(readFileSync(two.image)), sha256(readFileSync(one.image)));
  t.is(statSync(two.image).uid, 65534);
});

const REAL = [process.env.SMOL_TEST_SETS, path.join(packageRoot(), '../shared/netbsd-9.0-dreamcast')].find(
  (folder) => folder !== undefined && existsSync(path.join(folder, 'etc.tgz')),
);
const withRealSets = REAL === undefined ? test.skip : test;

withRealSets(
  'a web server is set up on the real etc set of NetBSD 9.0 (needs $SMOL_TEST_SETS or ../shared)',
  async (t) => {
    const box = new Sandbox(t);
    box.write('smol.config.yaml', 'release: real\n');
    box.write(
      'sets/real.yaml',
      `description: NetBSD 9.0\nguest: netbsd\nsource: "file:${REAL}/{set}.tgz"\nsets: [etc]\narchs: {i386: {kernel: none}}\n`,
    );
    const kernel = 'archs: {i386: {source: "file:kernel", machine: microvm}}\n';
    box.write('kernels/none.yaml', `description: x\nguest: netbsd\n${kernel}`);
    box.write('kernels/kernel', 'no kernel');
    box.write('services/web/service.yaml', 'description: x\nsets: [etc]\nsize: 32M\nfs: ext2\n');
    box.write('services/web/etc/rc', '#!/bin/sh\n');
    const build = () => box.smol(['build', 'web', '--arch', 'i386']);
    exits(t, await build(), 0);
    const image = box.path('images/web-i386.img');
    const before = readImage(image);
    box.write(
      'services/web/postinst/httpd.sh',
      `set -e
echo 'httpd=YES httpd_flags="-s"' >> etc/rc.conf
echo '_till:*:999:999::0:0::/:/sbin/nologin' >> etc/master.passwd
mkdir -p var/www usr/libexec
cp etc/rc.subr usr/libexec/helper; chown 0:5 usr/libexec/helper; chmod 2555 usr/libexec/helper
echo page > var/www/index.html; chown -R 24:24 var/www
mknod dev/console c 0 0; chmod 600 dev/console
`,
    );
    const result = await build();
    exits(t, result, 0);
    t.is(checkImage(image), '');
    const after = readImage(image);
    t.like(after.get('usr/libexec/helper'), {
      mode: 0o2555,
      uid: 0,
      gid: 5,
      sha256: before.get('etc/rc.subr')!.sha256,
    });
    t.like(after.get('var/www/index.html'), { uid: 24, gid: 24 });
    t.like(after.get('etc/master.passwd'), { mode: 0o600, uid: 0, gid: 0 });
    t.regex((await box.smol(['ls', image, '/dev/console'])).stdout, /^crw------- .* 0,0 /);
    const changed = [...after.keys()].filter((name) => {
      const [was, is] = [before.get(name), after.get(name)];
      return (
        was === undefined ||
        was.mode !== is!.mode ||
        was.uid !== is!.uid ||
        was.gid !== is!.gid ||
        was.sha256 !== is!.sha256
      );
    });
    t.deepEqual(changed.sort(), [
      'dev/console',
      'etc/master.passwd',
      'etc/rc.conf',
      'usr',
      'usr/libexec',
      'usr/libexec/helper',
      'var/www',
      'var/www/index.html',
    ]);
  },
);

test.serial('what a script takes from the network is pinned, and is all of the network that it has', async (t) => {
  const { mirror, box, image, build } = await project(t, 'postinst: {network: true}\n');
  const url = 'http://pages.test/a page.txt'.replace(' ', '%20');
  box.write(
    'smol.config.yaml',
    box.read('smol.config.yaml').replace('mirrors:\n', `mirrors:\n  http://pages.test/: ${mirror.url}/\n`),
  );
  const port = new URL(mirror.url).port;
  box.write(
    'services/web/postinst/get.sh',
    `set -e
curl -sSf ${url} > etc/page
curl -sSI ${url} | grep -i content-length
! curl -sSf http://pages.test/none && ! curl -sS https://pages.test/tls && ! curl -sSf -d x http://pages.test/post
! curl -sS --noproxy '*' http://127.0.0.1:${port}/
curl -sS -r 2-3 ${url} | cmp - etc/page
`,
  );
  mirror.serve('/a%20page.txt', 'the first page\n');
  const first = await build();
  exits(t, first, 0);
  t.is(textsOf(image, ['etc/page'])[0], 'the first page\n');
  const lines = first.events.filter(({ type }) => type === 'step-log').map(({ line }) => String(line));
  t.true(lines.some((line) => /^http:\/\/pages\.test\/none answered 404/.test(line)));
  t.true(lines.includes('https://pages.test:443 is not given: ask for it by http:, so that it can be pinned'));
  t.regex(
    box.read('smol.lock.yaml'),
    /recorded:\n {2}services\/web\/postinst\/get\.sh of web-amd64:\n {4}- http:\/\/pages\.test\/a%20page\.txt\n/,
  );

  // What is pinned stays what it is, whatever the server says by now, and none of it is asked for again.
  mirror.serve('/a%20page.txt', 'the second page\n');
  mirror.requests.length = 0;
  t.deepEqual(ranSteps(await build()), []);
  box.write('services/web/postinst/get.sh', `curl -sSf ${url} > etc/again\n`);
  exits(t, await box.smol(['build', 'web', '--offline']), 0);
  t.is(textsOf(image, ['etc/again'])[0], 'the first page\n');
  t.deepEqual(mirror.requests, []);
  const moved = await box.smol(['update', url]);
  exits(t, moved, 0);
  t.deepEqual(ranSteps(await build()), [
    'image web-amd64',
    'layout web-amd64',
    'services/web/postinst/get.sh of web-amd64',
  ]);
  t.is(textsOf(image, ['etc/again'])[0], 'the second page\n');
  // Nothing new, where nothing new may be had.
  box.write('services/web/postinst/get.sh', 'curl -sSf http://pages.test/new > etc/new\n');
  mirror.serve('/new', 'new\n');
  for (const strict of ['--frozen', '--offline']) {
    const refused = await box.smol(['build', 'web', strict]);
    exits(t, refused, 1);
    t.regex(refused.stderr, /error\[script-failed\](.*\n)*.*http:\/\/pages\.test\/new/);
  }
  exits(t, await build(), 0);
});
