import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Mirror } from '../rig/mirror.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

const SETS = 'https://nycdn.netbsd.org/pub/NetBSD-daily/netbsd-11/latest/i386/binary/sets';
const SOURCES = [`${SETS}/rescue.tgz`, `${SETS}/etc.tgz`, 'https://smolbsd.org/assets/netbsd-SMOL386'];

async function project(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  const build = (args: string[], env: Record<string, string> = {}) =>
    box.smol(['build', 'rescue', '--arch', 'i386', ...args], { env });
  return { mirror, box, build };
}

test.serial('--frozen, and CI, refuse what is not pinned, all at once', async (t) => {
  const { mirror, box, build } = await project(t);
  const refused = async (args: string[], env: Record<string, string>, sources: readonly string[]) => {
    const result = await build(args, env);
    exits(t, result, 4);
    const [count, verb] = sources.length === 1 ? ['1 source', 'is'] : [`${sources.length} sources`, 'are'];
    t.is(
      box.told(result),
      `error[unpinned]: ${count} that the build needs ${verb} not pinned, and pins are frozen
${sources.map((source) => `  | ${source}`).join('\n')}
  fix: build once without --frozen (CI=true means it too; --no-frozen undoes that), and commit smol.lock.yaml`,
    );
  };
  await refused(['--frozen'], {}, SOURCES);
  t.deepEqual(mirror.requests, []);
  // Without any pin there is nothing to freeze.
  exits(t, await build([], { CI: 'true' }), 0);
  box.write('smol.lock.yaml', box.read('smol.lock.yaml').replace(/ {2}https:\/\/smolbsd(.*\n){3}/, ''));
  await refused([], { CI: 'true' }, SOURCES.slice(2));
  exits(t, await build(['--no-frozen'], { CI: 'true' }), 0);
  exits(t, await build([], { CI: 'true', SMOL_CACHE: `${box.cache}-cold` }), 0);
});

test.serial('--offline asks nobody, and lists what is missing', async (t) => {
  const { mirror, box, build } = await project(t);
  const result = await build(['--offline']);
  exits(t, result, 3);
  t.regex(
    box.told(result),
    /^error\[offline\]: 3 sources that the build needs are not in the cache, and --offline keeps it from fetching\n( {2}\| https:.*\n){3} {2}fix: /,
  );
  t.deepEqual(mirror.requests, []);
  exits(t, await build([]), 0);
  const { length } = mirror.requests;
  box.write('services/rescue/service.yaml', 'description: x\nsets: [etc, rescue]\nsize: 8M\n');
  box.write('services/rescue/etc/rc', '#!/bin/sh\n');
  exits(t, await build(['--offline']), 0);
  t.is(mirror.requests.length, length);
});

test.serial('gc evicts what was used longest ago, and never what images in place were made of', async (t) => {
  const { box, build } = await project(t);
  exits(t, await build([]), 0);
  const blobs = () =>
    readdirSync(path.join(box.cache, 'blobs/content-v2'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(path.join(box.cache, 'blobs/content-v2', name)).isFile(),
    ).length;
  const all = blobs();
  t.regex(
    (await box.smol(['cache'])).stdout,
    new RegExp(`^<cache>: .* in ${all} blobs, of at most 10 GiB\n`.replace('<cache>', box.cache)),
  );
  const collect = (...args: string[]) => box.smol(['gc', ...args]);
  t.regex((await collect()).stdout, /^nothing had to go; /);
  t.regex((await collect('--limit', '0M')).stdout, /^nothing had to go; /, 'all was used within the hour');
  t.is(blobs(), all);

  // As if all of that was days ago.
  const longAgo = Date.now() / 1000 - 3 * 86_400;
  const age = (folder: string) => {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
      utimesSync(path.join(folder, name), longAgo, longAgo);
  };
  age(path.join(box.cache, 'steps'));
  age(path.join(box.cache, 'blobs'));
  t.regex((await collect('--limit', '0M')).stdout, /^nothing had to go; /, 'images in place were made of it');
  rmSync(box.path('.smol/history'));
  t.regex((await collect('--limit', '0M')).stdout, /^\d+ blobs evicted, .* freed; the cache has 0 bytes\n$/);
  t.is(blobs(), 0);

  // Nothing needs it: the image is in place. And when something does, it comes back.
  t.deepEqual(ranSteps(await build(['--json'])), []);
  box.write('services/rescue/service.yaml', 'description: x\nsets: [etc]\nsize: 8M\n');
  box.write('services/rescue/etc/rc', '#!/bin/sh\n');
  const result = await build([]);
  exits(t, result, 0);
});

test.serial('--keep-going builds what it can, and tells every failure', async (t) => {
  const { mirror, box } = await project(t);
  const gone = (set: string) =>
    mirror.serve(`${SETS.slice('https://nycdn.netbsd.org'.length)}/${set}.tgz`, (_, response) =>
      response.writeHead(404).end(),
    );
  gone('games');
  gone('man');
  for (const [name, set] of [
    ['good', 'etc'],
    ['bad', 'games'],
    ['worse', 'man'],
  ]) {
    box.write(`services/${name}/service.yaml`, `description: x\nsets: [${set}]\nsize: 8M\n`);
    box.write(`services/${name}/etc/rc`, '#!/bin/sh\n');
  }
  const result = await box.smol(['build', 'bad', 'good', 'worse', '--arch', 'i386', '--keep-going']);
  exits(t, result, 1);
  t.is([...result.stderr.matchAll(/error\[http-status\]: \S+\/(games|man)\.tgz answered 404/g)].length, 2);
  t.deepEqual(readdirSync(box.path('images')), ['good-i386.img']);
});

test.serial('--arch all, in one graph', async (t) => {
  const { box } = await project(t);
  const result = await box.smol(['build', 'rescue', '--arch', 'all', '--jobs', '1', '--json']);
  exits(t, result, 0);
  t.deepEqual(readdirSync(box.path('images')), ['rescue-amd64.img', 'rescue-evbarm-aarch64.img', 'rescue-i386.img']);
  t.is(ranSteps(result).filter((step) => step === 'overlay services/common').length, 1);
});
