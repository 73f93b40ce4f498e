import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compressed, ETC, type Member, sha512, tarOf } from '../rig/archives.ts';
import { textsOf } from '../rig/debugfs.ts';
import { answerBytes, Mirror } from '../rig/mirror.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

const SETS = '/pub/NetBSD-daily/netbsd-11/latest/i386/binary/sets';
const NAME = `https://nycdn.netbsd.org${SETS}/etc.tgz`;

/** A small service of the set etc, and the mirror that has it. */
async function project(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  box.write('services/web/service.yaml', 'description: x\nsets: [etc]\nsize: 8M\n');
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  const build = (env: Record<string, string> = {}) => box.smol(['build', 'web', '--arch', 'i386'], { env });
  /** Builds, expects this exit code, and gives what was said. */
  const told = async (code: number, env: Record<string, string> = {}) => {
    const result = await build(env);
    exits(t, result, code);
    return box.told(result).replaceAll(mirror.url, '<mirror>');
  };
  return { mirror, box, build, told };
}

async function etc(members: readonly Member[] = ETC): Promise<Buffer> {
  return compressed(await tarOf(members), 'tgz');
}

/** Serves other bytes as the set, with a checksum to match. */
function serveSet(mirror: Mirror, bytes: Buffer): void {
  mirror.serve(`${SETS}/etc.tgz`, bytes);
  mirror.serve(`${SETS}/SHA512`, `SHA512 (etc.tgz) = ${sha512(bytes)}\n`);
}

test.serial('a URL that answers 404', async (t) => {
  const { mirror, told, box } = await project(t);
  mirror.serve(`${SETS}/etc.tgz`, (_, response) => response.writeHead(404).end('<!DOCTYPE html>not found'));
  t.is(
    await told(1),
    `error[http-status]: ${NAME} answered 404 (asked as <mirror>${SETS}/etc.tgz)
  fix: is the address right, and does the release have this set? A mirrors: line in smol.config.yaml can name another server`,
  );
  t.false(existsSync(box.path('images/web-i386.img')));
  t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
});

test.serial('an HTML page in place of a set', async (t) => {
  const { mirror, told, box } = await project(t);
  mirror.serve(`${SETS}/etc.tgz`, '<!DOCTYPE html><title>Please log in</title>');
  t.is(
    await told(4),
    `error[not-an-archive]: ${NAME} is not a gzip-compressed tar archive: it begins like an HTML page
  fix: look at the address in a browser; a page that says "not found" or asks to log in is a common cause`,
  );
  t.false(existsSync(box.path('smol.lock.yaml')) && box.read('smol.lock.yaml').includes('etc.tgz'));
  // Nothing of it is "fresh" on the next try.
  serveSet(mirror, await etc());
  await told(0);
});

test.serial('a download that breaks off is resumed where it ended', async (t) => {
  const { mirror, build, box } = await project(t);
  const bytes = compressed(
    await tarOf([
      { name: 'f', content: execFileSync('head', ['-c', '3000000', '/dev/urandom'], { maxBuffer: 2 ** 24 }) },
    ]),
    'tgz',
  );
  serveSet(mirror, bytes);
  let times = 0;
  mirror.serve(`${SETS}/etc.tgz`, (request, response) => {
    if (times++ > 0) return answerBytes(bytes, request.headers.range, response);
    response.writeHead(200, { 'content-length': bytes.length, etag: `"${sha512(bytes).slice(0, 16)}"` });
    response.write(bytes.subarray(0, 2_000_000), () => setTimeout(() => response.destroy(), 50));
    return undefined;
  });
  exits(t, await build(), 0);
  const asked = mirror.requests.filter(({ path: at }) => at.endsWith('/etc.tgz')).map(({ range }) => range);
  t.is(asked.length, 2);
  t.is(asked[0], undefined);
  t.regex(asked[1] ?? '', /^bytes=[1-9]\d*-$/);
  t.true(box.read('smol.lock.yaml').includes('etc.tgz'));
});

test.serial('a download that always breaks off', async (t) => {
  const { mirror, told, box } = await project(t);
  const bytes = await etc();
  mirror.serve(`${SETS}/etc.tgz`, (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, 100), () => setTimeout(() => response.destroy(), 20));
  });
  t.is(
    await told(1),
    `error[truncated]: ${NAME} broke off after 100 of ${bytes.length} bytes, each time it was tried
  fix: nothing of it was kept; try again later or name another server with mirrors:`,
  );
  t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
});

// Alone: on a busy machine a short patience would end before the server is reached.
test.serial('a server that says nothing any more', async (t) => {
  const { mirror, told } = await project(t);
  mirror.serve(`${SETS}/etc.tgz`, (_, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('\x1f\x8b');
  });
  const text = await told(1, { SMOL_STALL_MS: '1500' });
  t.regex(text, /^error\[truncated\]: .* broke off after \d+ of 1000 bytes, each time it was tried/);
});

test.serial('a server that is not there', async (t) => {
  const { box, told } = await project(t);
  box.write(
    'smol.config.yaml',
    'mirrors:\n  https://nycdn.netbsd.org/: http://127.0.0.1:9/\n  https://smolbsd.org/: http://127.0.0.1:9/\n',
  );
  t.regex(
    await told(3),
    /^error\[unreachable\]: https:\/\/\S+ cannot be reached: .*ECONNREFUSED.*\n {2}fix: check the network, name a mirror/,
  );
});

test.serial('a set that is not what its publisher says', async (t) => {
  const { mirror, told } = await project(t);
  mirror.serve(`${SETS}/etc.tgz`, await etc([{ name: 'evil', content: 'x' }]));
  const text = await told(4);
  t.regex(
    text,
    new RegExp(
      `^error\\[wrong-checksum\\]: ${NAME} is not what its publisher says it is\n {2}\\| https://nycdn.netbsd.org${SETS}/SHA512 says sha512 [0-9a-f]{128}\n {2}\\| the download has sha512 [0-9a-f]{128}\n {2}fix: nothing of it was kept`,
    ),
  );
  mirror.serve(`${SETS}/SHA512`, 'SHA512 (base.tgz) = 00\n');
  t.is(
    await told(4),
    `error[no-checksum]: https://nycdn.netbsd.org${SETS}/SHA512 has no checksum for ${NAME}\n  fix: is the address in sets/ or kernels/ right?`,
  );
});

test.serial('where the publisher has no checksums, that is said', async (t) => {
  const { mirror, told, box } = await project(t);
  mirror.serve('/assets/netbsd-SMOL386.sha256', (_, response) => response.writeHead(404).end());
  const url = 'https://smolbsd.org/assets/netbsd-SMOL386';
  t.regex(
    await told(0),
    new RegExp(`fetch ${url}: ${url}.sha256 is not there, so ${url} is taken as it came and pinned`),
  );
  t.true(box.read('smol.lock.yaml').includes(`${url}:\n    sha256: `));
});

test.serial('a set that changed since it was pinned, and smol update', async (t) => {
  const { mirror, box, told, build } = await project(t);
  await told(0);
  const before = box.read('smol.lock.yaml');
  serveSet(mirror, await etc([...ETC, { name: './etc/new', content: 'new' }]));
  // The cache still has what was pinned; another machine does not.
  exits(t, await build(), 0);
  rmSync(box.path('images/web-i386.img'));
  const cold = await build({ SMOL_CACHE: `${box.cache}-cold` });
  exits(t, cold, 4);
  t.regex(
    box.told(cold),
    new RegExp(`error\\[pin-mismatch\\]: ${NAME} has changed since it was pinned
 {2}\\| smol.lock.yaml has sha256 [0-9a-f]{64}
 {2}\\| now it is {10}[0-9a-f]{64}
 {2}fix: if that is expected, run \`smol update '${NAME}'\` to pin what is there now$`),
  );
  t.is(box.read('smol.lock.yaml'), before);

  const update = await box.smol(['update', NAME]);
  exits(t, update, 0);
  t.regex(update.stdout, new RegExp(`^${NAME}: [0-9a-f]{12}… -> [0-9a-f]{12}…\n$`));
  exits(t, await build({ SMOL_CACHE: `${box.cache}-cold` }), 0);
  t.is(textsOf(box.path('images/web-i386.img'), ['etc/new'])[0], 'new');

  const nothing = await box.smol(['update', `${NAME}x`]);
  exits(t, nothing, 2);
  t.is(
    box.told(nothing),
    `error[no-such-pin]: nothing named ${NAME}x is pinned (did you mean "${NAME}"?)\n  fix: smol.lock.yaml has the names; the name of a service means all that it needs`,
  );
});

test.serial('an update that fails keeps the old pin', async (t) => {
  const { mirror, box, told } = await project(t);
  await told(0);
  const before = box.read('smol.lock.yaml');
  mirror.serve(`${SETS}/etc.tgz`, (_, response) => response.writeHead(404).end());
  exits(t, await box.smol(['update', 'web']), 1);
  t.is(box.read('smol.lock.yaml'), before);
});

test.serial('archives that are none, or are an attack', async (t) => {
  const { mirror, box, told } = await project(t);
  const say = async (bytes: Buffer, code = 4) => {
    serveSet(mirror, bytes);
    if (existsSync(box.path('smol.lock.yaml'))) box.write('smol.lock.yaml', 'version: 1\npins: {}\n');
    return told(code);
  };
  const { gzipSync } = await import('node:zlib');
  t.regex(
    await say(gzipSync(Buffer.alloc(2000, 'no tar '))),
    new RegExp(`^error\\[broken-archive\\]: ${NAME} cannot be unpacked: Invalid tar header`),
  );
  t.regex(
    await say((await etc()).subarray(0, 200)),
    new RegExp(`^error\\[broken-archive\\]: ${NAME} cannot be unpacked: unexpected end of file`),
  );
  t.is(
    await say(await etc([{ name: '../../etc/passwd', content: 'x' }])),
    `error[unsafe-path]: ${NAME} holds "../../etc/passwd", which leads out of the archive\n  fix: do not use this archive: it may be an attack`,
  );
  t.is(
    await say(await etc([{ name: '/etc/passwd', content: 'x' }])),
    `error[unsafe-path]: ${NAME} holds "/etc/passwd", which is absolute\n  fix: do not use this archive: it may be an attack`,
  );
  t.is(
    await say(await etc([...ETC, { name: 'bin', content: { symlink: '/' } }, { name: 'bin/sh', content: 'x' }]), 1),
    `error[layer-conflict]: /bin is a directory in the set etc, but a symlink in the set etc\n  fix: rename one of the two, or leave out what brings it`,
  );
});

// One at a time: while this process compresses so much, its servers do not answer.
test.serial('an archive that unpacks to no end fills no disk', async (t) => {
  // Both formats allow that one stream follows another. A tar with one file of 8 GiB of zeros, of which this is a part.
  const header = (await tarOf([{ name: 'zeros', content: 'x' }])).subarray(0, 512);
  header.write('77777777777', 124, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  for (const [arch, name, ending] of [
    ['i386', 'i386', 'tgz'],
    ['amd64', 'amd64', 'tar.xz'],
  ] as const) {
    const { mirror, box } = await project(t);
    const folder = SETS.replace('i386', name);
    const zeros = compressed(Buffer.alloc(64 * 1024 ** 2), ending);
    const bytes = Buffer.concat([compressed(header, ending), ...Array(18).fill(zeros)]);
    mirror.serve(`${folder}/etc.${ending}`, bytes);
    mirror.serve(`${folder}/SHA512`, `SHA512 (etc.${ending}) = ${sha512(bytes)}\n`);
    const result = await box.smol(['build', 'web', '--arch', arch]);
    exits(t, result, 4);
    t.regex(
      box.told(result),
      /error\[archive-bomb\]: \S+ unpacks to more than 1 GiB\n {2}fix: do not use this archive/,
    );
    t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
  }
});

test.serial('numbers, names and paths at their limits, and beyond', async (t) => {
  const { mirror, box, told } = await project(t);
  serveSet(
    mirror,
    await etc([
      ...ETC,
      { name: 'twice', content: 'first' },
      { name: './twice', content: 'second' },
      { name: 'owned', content: 'x', uid: 200_000, gid: 65_534 },
      { name: 'far/future', content: 'x', mtime: new Date('2200-01-01') },
      { name: 'n'.repeat(255), content: 'x' },
    ]),
  );
  await told(0);
  const listing = (await box.smol(['ls', '-r', 'web', '--arch', 'i386'])).stdout;
  t.regex(listing, /^-\S+ +1 +200000 +65534 .* \/owned$/m);
  t.regex(listing, /2038-01-19 .* \/far\/future$|2025-03-01 .* \/far\/future$/m);
  t.is((await box.smol(['cat', 'web', '/twice', '--arch', 'i386'])).stdout, 'second');

  // A hard link to what is not there, and a way out by a link that the archive itself made.
  for (const [members, message] of [
    [[{ name: 'b', content: { link: 'a' } }], /holds "b", a hard link to "a", which does not come before it/],
    [
      [
        { name: 'out', content: { symlink: '../..' } },
        { name: 'out/file', content: 'x' },
      ],
      /\/out is a directory in the set etc, but a symlink in the set etc/,
    ],
    [[{ name: 'a/../../b', content: 'x' }], /holds "a\/..\/..\/b", which leads out of the archive/],
    [[{ name: 'b', content: { link: '../b' } }], /holds "..\/b", which leads out of the archive/],
  ] as const) {
    serveSet(mirror, await etc([...ETC, ...members]));
    box.write('smol.lock.yaml', 'version: 1\npins: {}\n');
    const result = await box.smol(['build', 'web', '--arch', 'i386']);
    t.not(result.code, 0);
    t.regex(result.stderr, message);
  }
});

test.serial('an xz archive that is cut off', async (t) => {
  const { mirror, box } = await project(t);
  const folder = SETS.replace('i386', 'amd64');
  const bytes = compressed(await tarOf(ETC), 'tar.xz').subarray(0, -20);
  mirror.serve(`${folder}/etc.tar.xz`, bytes);
  mirror.serve(`${folder}/SHA512`, `SHA512 (etc.tar.xz) = ${sha512(bytes)}\n`);
  const result = await box.smol(['build', 'web', '--arch', 'amd64']);
  exits(t, result, 4);
  t.regex(box.told(result), /error\[broken-archive\]: \S+etc.tar.xz cannot be unpacked: .*Unexpected end of input/);
});

test.serial('a file over a directory names what brings each', async (t) => {
  const { box, told } = await project(t);
  box.write('services/web/etc/defaults', 'a file');
  box.write('services/web/root/etc/defaults/rc.conf', 'in a directory');
  t.is(
    await told(1),
    `error[layer-conflict]: /etc/defaults is a file in services/web/etc, but a directory in services/web/root
  fix: rename one of the two, or leave out what brings it`,
  );
});

test.serial('files: that names nothing, and what it does', async (t) => {
  const { box, told } = await project(t);
  box.write(
    'services/web/service.yaml',
    'description: x\nsets: [etc]\nsize: 8M\nfiles:\n  /etc/rc: {mode: "4750", owner: "3:5"}\n',
  );
  await told(0);
  const listing = execFileSync('debugfs', ['-R', 'stat /etc/rc', `${box.path('images/web-i386.img')}?offset=1048576`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` },
  });
  t.regex(listing, /Mode: {2}04750/);
  t.regex(listing, /User: {5}3 {3}Group: {5}5/);
  box.write(
    'services/web/service.yaml',
    'description: x\nsets: [etc]\nsize: 8M\nfiles:\n  /etc/none: {mode: "0600"}\n',
  );
  t.is(
    await told(2),
    'error[unmatched-file]: files: names /etc/none, which is in no set and no overlay\n  fix: mend the path in service.yaml, or put the file into root/ of the service',
  );
  box.write(
    'services/web/service.yaml',
    'description: x\nsets: [etc]\nsize: 8M\nfiles:\n  /etc/rc: {owner: "0:5000000000"}\n',
  );
  t.is(
    await told(1),
    'error[number-out-of-range]: /etc/rc has the group 5000000000, for which no file system has room\n  fix: give it one from 0 to 4294967294',
  );
});

test.serial('an image that is too small says by how much, and what fills it', async (t) => {
  const { box, mirror, told } = await project(t);
  serveSet(
    mirror,
    await etc([
      ...ETC,
      { name: 'usr/lib/big', content: Buffer.alloc(9_000_000, 1) },
      { name: 'usr/bin/x', content: Buffer.alloc(500_000, 2) },
    ]),
  );
  // The sizes of what is shipped with smol may change; that it is listed may not.
  t.is(
    (await told(1)).replaceAll(/ *\S+ KiB {2}(?=\/etc)/g, '    ~ KiB  '),
    `error[image-too-small]: web-i386 does not fit: the image has 8 MiB, 4 MiB too little
  | the largest directories:
  |    9.1 MiB  /usr
  |    8.6 MiB  /usr/lib
  |    488 KiB  /usr/bin
  |    ~ KiB  /etc
  |    ~ KiB  /etc/include
  |   43 bytes  /dev
  fix: set size: 12M or more in its service.yaml, or leave out a set`,
  );
  box.write('services/web/service.yaml', 'description: x\nsets: [etc]\nsize: 12M\n');
  await told(0);
});

test.serial('mirrors on this host, and files dropped in, need no network', async (t) => {
  const { box, told } = await project(t);
  mkdirSync(box.path('mirror/sets'), { recursive: true });
  const bytes = await etc();
  box.write('mirror/sets/etc.tgz', bytes);
  box.write('mirror/sets/SHA512', `SHA512 (etc.tgz) = ${sha512(bytes)}\n`);
  box.write('kernels/netbsd-SMOL386', 'a kernel, dropped in');
  box.write('smol.config.yaml', `mirrors:\n  https://nycdn.netbsd.org${SETS}/: file:mirror/sets/\n`);
  await told(0);
  t.true(box.read('smol.lock.yaml').includes(NAME));

  // A file that was dropped in comes first, and is held to the same pin.
  box.write('sets/i386/etc.tgz', await etc([{ name: 'other', content: 'x' }]));
  t.regex(
    await told(4),
    new RegExp(
      `^error\\[pin-mismatch\\]: ${NAME} has changed since it was pinned\n.*\n.*, in <project>/sets/i386/etc.tgz\n`,
    ),
  );
  exits(t, await box.smol(['update', NAME]), 0);
  await told(0);
});

test.serial('a proxy from the usual variables is used', async (t) => {
  const { mirror, box, build } = await project(t);
  box.write(
    'smol.config.yaml',
    'mirrors:\n  https://nycdn.netbsd.org/: http://mirror.invalid/\n  https://smolbsd.org/: http://mirror.invalid/\n',
  );
  // As a proxy the rig's server gets whole URLs.
  const bytes = await etc();
  mirror.serve(`http://mirror.invalid${SETS}/etc.tgz`, bytes);
  mirror.serve(`http://mirror.invalid${SETS}/SHA512`, `SHA512 (etc.tgz) = ${sha512(bytes)}\n`);
  mirror.serve('http://mirror.invalid/assets/netbsd-SMOL386', 'kernel');
  const result = await build({ http_proxy: mirror.url });
  exits(t, result, 0);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot('a full disk (needs root, to mount a small one)', async (t) => {
  const { box, mirror, told } = await project(t);
  serveSet(
    mirror,
    await etc([
      { name: 'big', content: execFileSync('head', ['-c', '6000000', '/dev/urandom'], { maxBuffer: 2 ** 24 }) },
    ]),
  );
  mkdirSync(box.cache, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', box.cache]);
  try {
    t.is(
      (await told(3)).replace(/<cache>\S+/, '<cache>'),
      `error[disk-full]: there is no room left on the disk of <cache>
  fix: free some room, or set SMOL_CACHE to a directory on another disk; what was complete is kept`,
    );
    t.deepEqual(readdirSync(path.join(box.cache, 'scratch')), []);
  } finally {
    execFileSync('umount', [box.cache]);
  }
});

test.serial('an overlay that changes is noticed, a drop-in kernel too', async (t) => {
  const { box, build } = await project(t);
  box.write(
    'kernels/own.yaml',
    'description: x\nguest: netbsd\narchs: {i386: {source: "file:own-kernel", machine: microvm}}\n',
  );
  box.write('kernels/own-kernel', 'first');
  box.write('services/web/service.yaml', 'description: x\nsets: [etc]\nkernel: own\nsize: 8M\n');
  exits(t, await build(), 0);
  t.false(box.read('smol.lock.yaml').includes('own-kernel'), 'a local file is an input, not a download');
  box.write('kernels/own-kernel', 'second');
  const result = await box.smol(['build', 'web', '--arch', 'i386', '--json']);
  t.deepEqual(ranSteps(result), ['fetch file:own-kernel', 'kernel own i386']);
  t.is(statSync(box.path('images/web-i386.img')).size, 8 * 1024 ** 2);
  t.true(readFileSync(box.path('images/web-i386.img')).length > 0);
});

test.serial('names and links that no guest could use', async (t) => {
  const { mirror, told } = await project(t);
  serveSet(mirror, await etc([...ETC, { name: 'n'.repeat(256), content: 'x' }]));
  t.is(
    await told(1),
    `error[unsupported-entry]: the set etc holds "${'n'.repeat(256)}", a name of more than 255 bytes, which smol cannot put into an image`,
  );
});

test.serial('a cache that cannot be written, an overlay that cannot be read', async (t) => {
  const { box, told } = await project(t);
  t.regex(
    await told(3, { SMOL_CACHE: box.write('a-file', '') }),
    /^error\[no-access\]: <project>\/a-file\S* is not accessible: E/,
  );
  if (process.getuid?.() === 0) return; // root reads everything
  box.write('services/web/etc/secret', 'x', 0o000);
  t.regex(await told(3), /^error\[no-access\]: .*secret is not accessible: EACCES/);
});
