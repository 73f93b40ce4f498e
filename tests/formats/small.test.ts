import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { checksumOf } from '../../formats/checksums.ts';
import { cpio } from '../../formats/cpio.ts';
import { hasPvhEntry, isElf, section } from '../../formats/elf.ts';
import { misnamed } from '../../formats/magic.ts';
import { parseMtree } from '../../formats/mtree.ts';
import { alternatives, compareVersions, matches } from '../../formats/pkgsrc/pattern.ts';
import { qcow2Overlay } from '../../formats/qcow2.ts';
import { entriesOf, indexOf, parseIndex } from '../../formats/treeindex.ts';
import type { Tree } from '../../model/artifact.ts';
import { x86Guest } from '../../vm/accelerator.ts';

test('checksums of all forms that publishers use', (t) => {
  const [long, short] = ['ab'.repeat(64), 'cd'.repeat(32)];
  t.deepEqual(
    checksumOf('base.tgz', `MD5 (base.tgz) = 00\nSHA512 (etc.tgz) = ${short}\nSHA512 (base.tgz) = ${long}\n`),
    { algorithm: 'sha512', hex: long },
  );
  t.deepEqual(checksumOf('base.tgz', `${short}  base.tgz\n`), { algorithm: 'sha256', hex: short });
  t.deepEqual(checksumOf('base.tgz', `${short} *./sets/base.tgz\n`), { algorithm: 'sha256', hex: short });
  t.deepEqual(checksumOf('kernel', `${short.toUpperCase()}\n`), { algorithm: 'sha256', hex: short });
  t.is(checksumOf('base.tgz', `${short}  xbase.tgz\n`), undefined);
  t.is(checksumOf('base.tgz', 'MD5 (base.tgz) = d41d8cd98f00b204e9800998ecf8427e\n'), undefined);
});

test('files that are not what their names say', (t) => {
  const html = Buffer.from('<!DOCTYPE html><html>');
  t.deepEqual(misnamed('base.tar.xz', html), { expected: 'an xz-compressed tar archive', found: 'an HTML page' });
  t.deepEqual(misnamed('netbsd-SMOL', html), { expected: 'a file', found: 'an HTML page' });
  t.deepEqual(misnamed('etc.tgz', Buffer.from('moved\n')), {
    expected: 'a gzip-compressed tar archive',
    found: 'the text "moved"',
  });
  t.deepEqual(misnamed('etc.tgz', Buffer.alloc(0)), {
    expected: 'a gzip-compressed tar archive',
    found: 'an empty file',
  });
  t.is(misnamed('etc.tgz', Buffer.from([0x1f, 0x8b, 8])), undefined);
  t.is(misnamed('netbsd-SMOL', Buffer.from([0x7f, 0x45, 0x4c, 0x46])), undefined);
});

test('cpio archives are read by bsdcpio', (t) => {
  const archive = cpio([
    { path: 'bin', mode: 0o040755 },
    { path: 'bin/sh', mode: 0o100755, content: Buffer.from('odd') },
    { path: 'dev/console', mode: 0o020600, device: { major: 5, minor: 1 } },
  ]);
  const listing = execFileSync('bsdtar', ['-tvf', '-'], {
    input: archive,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  t.deepEqual(
    // The number of links is left out: programs differ in what they print for it.
    listing
      .trim()
      .split('\n')
      .map((line) => line.replace(/^(\S+)\s+\d+/, '$1').replaceAll(/\s+/g, ' ')),
    [
      'drwxr-xr-x 0 0 0 Jan 1 1970 bin',
      '-rwxr-xr-x 0 0 3 Jan 1 1970 bin/sh',
      'crw------- 0 0 5,1 Jan 1 1970 dev/console',
    ],
  );
});

test('a PVH entry is found where there is one', (t) => {
  t.true(hasPvhEntry(x86Guest()));
  const without = Buffer.from(x86Guest());
  without.writeUInt32LE(17, 52 + 64 + 8);
  t.true(isElf(without));
  t.false(hasPvhEntry(without));
  t.false(hasPvhEntry(Buffer.from('MZ no ELF')));
  t.is(section(Buffer.from('no ELF at all'), '.modinfo'), undefined);
});

test('qcow2 overlays are sound in the eyes of qemu-img, and read through', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-qcow2-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [backing, overlay, flat] = ['base, with a comma.img', 'overlay.qcow2', 'flat.img'].map((name) =>
    path.join(folder, name),
  ) as [string, string, string];
  const content = Buffer.alloc(3 * 1024 ** 2, 'backing ');
  writeFileSync(backing, content);
  writeFileSync(overlay, qcow2Overlay(backing, content.length));
  t.regex(execFileSync('qemu-img', ['check', overlay], { encoding: 'utf8' }), /No errors were found/);
  execFileSync('qemu-img', ['convert', '-O', 'raw', overlay, flat]);
  t.is(execFileSync('cmp', [backing, flat], { encoding: 'utf8' }), '');
  t.throws(() => qcow2Overlay(backing, 2 ** 50), { instanceOf: RangeError });
});

test('specifications of mtree(5): full paths, nested names, /set and /unset, comments, continued lines, escapes', (t) => {
  const brief = (text: string) =>
    parseMtree(text).map(({ path, type, mode, user, line }) => [path, type, mode, user, line]);
  t.deepEqual(brief('./etc type=dir mode=0755\n./etc/rc type=file mode=644 uname=root # the rc\n'), [
    ['etc', 'dir', 0o755, undefined, 1],
    ['etc/rc', 'file', 0o644, 'root', 2],
  ]);
  t.deepEqual(
    brief(
      '# head\n/set type=file uid=0 mode=0444\n. type=dir\n  a type=dir\n    b uname=www\n  ..\n  /unset mode\n  c\n..\n',
    ),
    [
      ['', 'dir', 0o444, '0', 3],
      ['a', 'dir', 0o444, '0', 4],
      ['a/b', 'file', 0o444, 'www', 5],
      ['c', 'file', undefined, '0', 8],
    ],
  );
  t.deepEqual(brief('/set uname=root\n/unset all\n./x \\\n  type=link \\\n  link=a\\040b\n'), [
    ['x', 'link', undefined, undefined, 5],
  ]);
  t.like(parseMtree('./a\\sb\\#\\303\\266 type=char device=netbsd,2,3 optional size=5')[0], {
    path: 'a b#ö',
    device: { major: 2, minor: 3 },
    optional: true,
    size: 5,
  });
  t.is(parseMtree('./x type=link link=a\\040b')[0]!.link, 'a b');
  for (const [text, message] of [
    ['..', 'line 1 leaves the root'],
    ['\n./a type=door', 'line 2 has the type door'],
    ['./a mode=rwx', 'line 1 has mode=rwx'],
    ['./a/../../b', 'line 1 names ./a/../../b'],
    ['./a device=5', 'line 1 has device=5; it must be a format, a major and a minor number: netbsd,2,2'],
    ['./a size=-1', 'line 1 has size=-1'],
  ] as const) {
    t.throws(() => parseMtree(text), { instanceOf: SyntaxError, message });
  }
});

test('versions of packages are ordered as pkg_install orders them', (t) => {
  const ascending = [
    '1.0alpha2',
    '1.0beta',
    '1.0rc1',
    '1.0',
    '1.0nb1',
    '1.0nb12',
    '1.0a',
    '1.0b',
    '1.1pre2',
    '1.1',
    '1.9',
    '1.10',
    '2',
    '20240101',
  ];
  for (const [n, older] of ascending.entries()) {
    for (const newer of ascending.slice(n + 1)) {
      t.true(compareVersions(older, newer) < 0, `${older} < ${newer}`);
      t.true(compareVersions(newer, older) > 0, `${newer} > ${older}`);
    }
  }
  t.is(compareVersions('1.0', '1.0.0'), 0);
  t.is(compareVersions('1.0pl1', '1.0.1'), 0);
  t.is(compareVersions('1.0a', '1.0.1'), 0);
  const fits = (pattern: string, name: string) => alternatives(pattern).some((each) => matches(each, name));
  t.true(fits('php', 'php-8.3.1'));
  t.false(fits('php', 'php-fpm-8.3.1'));
  t.true(fits('php-fpm', 'php-fpm-8.3.1'));
  t.true(fits('php{82,83}-curl>=8', 'php83-curl-8.3.1'));
  t.false(fits('php{82,83}-curl>=8.4', 'php83-curl-8.3.1'));
  t.true(fits('lib[xy]*-1.?', 'liby2-1.3'));
  t.false(fits('lib[!y]*-1.?', 'liby2-1.3'));
});

test('a tree comes back from its index, and nothing comes from what is none', (t) => {
  const owned = { mode: 0o4755, uid: 4_000_000_000, gid: 70_000 };
  const slice = { blob: 'a'.repeat(64), offset: 5 * 2 ** 32, size: 2 ** 33, digest: 'b'.repeat(64) };
  const tree: Tree = [
    { path: '', type: 'directory', mode: 0o755, uid: 0, gid: 0 },
    { path: 'a name\nof two lines', ...owned, type: 'file', mtime: 0, content: slice },
    { path: 'console', ...owned, type: 'character', mtime: 2 ** 31 - 1, major: 4095, minor: 1_048_575 },
    { path: 'größe', ...owned, type: 'file', content: { ...slice, crc: 2 ** 32 - 1 } },
    { path: 'hard', ...owned, type: 'file', mtime: 1, content: { ...slice, offset: 0, crc: 0 }, hard: true },
    { path: 'link', ...owned, type: 'symlink', target: '../größe' },
    { path: 'pipe', ...owned, type: 'fifo' },
    { path: 'wd0', ...owned, type: 'block', major: 0, minor: 300 },
  ];
  t.deepEqual(entriesOf(parseIndex(indexOf(tree).bytes)), tree);
  t.deepEqual(entriesOf(parseIndex(indexOf([]).bytes)), []);
  for (const bytes of ['', '{"smol":"tree","version":1}\n', 'x'.repeat(100)]) {
    t.throws(() => parseIndex(Buffer.from(bytes)), { instanceOf: SyntaxError });
  }
});

test('an index takes no number for which no file system has room', (t) => {
  const root = { path: '', type: 'directory', mode: 0o755, uid: 0, gid: 0 } as const;
  const wrong: [object, string][] = [
    [{ mode: 0o10000 }, 'mode 4096'],
    [{ uid: 2 ** 32 - 1 }, 'owner 4294967295'],
    [{ gid: Number.NaN }, 'group NaN'],
    [{ uid: 0.5 }, 'owner 0.5'],
    [{ mtime: -1 }, 'time -1'],
    [{ mtime: 2 ** 31 }, 'time 2147483648'],
  ];
  for (const [attributes, what] of wrong) {
    t.throws(() => indexOf([{ ...root, ...attributes }]), {
      code: 'number-out-of-range',
      message: `/ has the ${what}, for which no file system has room`,
    });
  }
  t.notThrows(() => indexOf([{ ...root, mode: 0o7777, uid: 2 ** 32 - 2, mtime: 2 ** 31 - 1 }]));
});
