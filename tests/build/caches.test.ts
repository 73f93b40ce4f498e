import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { readChecked, writeChecked } from '../../host/checked.ts';
import { sha256, walk } from '../../host/files.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

/** Caches as one would not wish for them. */

async function project(t: Parameters<typeof Mirror.start>[0]) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  box.write('services/rescue/service.yaml', readFileSync('services/rescue/service.yaml'));
  box.write('services/rescue/etc/rc', '#!/bin/sh\n# at first\n');
  const image = box.path('images/rescue-i386.img');
  const build = (env: Record<string, string> = {}) =>
    box.smol(['build', 'rescue', '--arch', 'i386', '--json'], { env });
  return { box, build, image };
}

test.serial('records that a newer smol has written count as none, and harm nothing', async (t) => {
  const { box, build, image } = await project(t);
  exits(t, await build(), 0);
  const before = sha256(readFileSync(image));
  const folder = path.join(box.cache, 'steps');
  const records = walk(folder).filter(({ type }) => type === 'file');
  for (const { path: name } of records) {
    const record = readChecked<{ format: number }>(path.join(folder, name))!;
    writeChecked(path.join(folder, name), { ...record, format: record.format + 1, output: { of: 'another kind' } });
  }
  for (const name of ['.smol', 'images']) rmSync(box.path(name), { recursive: true });
  const again = await build();
  exits(t, again, 0);
  t.is(ranSteps(again).length, records.length);
  t.is(sha256(readFileSync(image)), before);
});

const SHM = '/dev/shm';
const elsewhere = existsSync(SHM) && statSync(SHM).dev !== statSync('/tmp').dev ? test : test.skip;

elsewhere('a cache on another file system than the project (needs /dev/shm)', async (t) => {
  const { build, image } = await project(t);
  exits(t, await build(), 0);
  const before = sha256(readFileSync(image));
  const cache = mkdtempSync(path.join(SHM, 'smol-test-'));
  t.teardown(() => rmSync(cache, { recursive: true }));
  rmSync(image);
  const again = await build({ SMOL_CACHE: cache });
  exits(t, again, 0);
  t.is(sha256(readFileSync(image)), before);
});

test.serial('a clock that is set back, and files from the future', async (t) => {
  const { box, build, image } = await project(t);
  const shifted = (days: number) => {
    const file = box.write(
      `shift${days}.mjs`,
      `const real = Date.now; Date.now = () => real() + ${days} * 86400e3;
       globalThis.Date = class extends Date { constructor(...a) { a.length ? super(...a) : super(Date.now()); } };`,
    );
    return { NODE_OPTIONS: `--import=${file}` };
  };
  const rc = box.write('services/rescue/etc/rc', '#!/bin/sh\n# one\n');
  const future = Date.now() / 1000 + 30 * 86400;
  utimesSync(rc, future, future);
  exits(t, await build(shifted(20)), 0);
  const one = sha256(readFileSync(image));

  // The same size, and older than what was seen: only its content tells.
  box.write('services/rescue/etc/rc', '#!/bin/sh\n# two\n');
  utimesSync(rc, future - 1000, future - 1000);
  const back = await build(shifted(-20));
  t.deepEqual(
    ranSteps(back),
    ['compose rescue-i386', 'image rescue-i386', 'layout rescue-i386', 'overlay services/rescue/etc'],
    back.stderr,
  );
  t.not(sha256(readFileSync(image)), one);

  box.write('services/rescue/etc/rc', '#!/bin/sh\n# one\n');
  t.deepEqual(ranSteps(await build()), ['image rescue-i386']);
  t.is(sha256(readFileSync(image)), one);
  t.deepEqual(ranSteps(await build(shifted(-20))), []);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot('a cache that cannot be written (needs root, to mount one so)', async (t) => {
  const { box, build, image } = await project(t);
  mkdirSync(box.cache);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', box.cache]);
  const mounted = (how: string) => execFileSync('mount', ['-o', `remount,${how}`, box.cache]);
  try {
    exits(t, await build(), 0);
    const before = sha256(readFileSync(image));
    mounted('ro');
    exits(t, await build(), 0);
    box.write('services/rescue/etc/rc', '#!/bin/sh\n');
    const refused = await build();
    exits(t, refused, 3);
    t.regex(refused.stdout, /"code":"no-access"/);
    t.is(sha256(readFileSync(image)), before);
    mounted('rw');
    exits(t, await build(), 0);
  } finally {
    execFileSync('umount', [box.cache]);
  }
});
