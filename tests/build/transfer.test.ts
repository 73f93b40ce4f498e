import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

/** A project that was built and exported, and another one, with an empty cache, of the same files. */
async function projects(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const config = await mirror.serveNetbsd();
  const [first, second] = [new Sandbox(t), new Sandbox(t)];
  for (const box of [first, second]) {
    box.write('smol.config.yaml', config);
    cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  }
  const file = first.path('cache.tar');
  const written = await first.smol(['cache', 'export', file, '--for', 'rescue', '--arch', 'i386']);
  exits(t, written, 0);
  t.regex(written.stdout, /^wrote \S+cache\.tar: 16 records and \d+ blobs, /);
  second.write('smol.lock.yaml', first.read('smol.lock.yaml'));
  return { mirror, first, second, file };
}

test.serial('an export is all that a build elsewhere needs, and the same each time', async (t) => {
  const { mirror, first, second, file } = await projects(t);
  const again = first.path('again.tar');
  exits(t, await first.smol(['cache', 'export', again, '--for', 'rescue', '--arch', 'i386']), 0);
  t.is(sha256(readFileSync(again)), sha256(readFileSync(file)));

  const taken = await second.smol(['cache', 'import', file]);
  t.regex(taken.stdout, /^took in 16 records and \d+ blobs, /, taken.stderr);
  const requests = mirror.requests.length;
  const built = await second.smol(['build', 'rescue', '--arch', 'i386', '--offline', '--json']);
  t.deepEqual(ranSteps(built), ['image rescue-i386'], built.stdout);
  t.is(mirror.requests.length, requests);
  const image = 'images/rescue-i386.img';
  t.is(sha256(readFileSync(second.path(image))), sha256(readFileSync(first.path(image))));

  // What was spared, and for whom it is kept.
  const report = JSON.parse((await second.smol(['cache', '--json'])).stdout);
  t.is(report.hits.steps, 15);
  t.true(report.hits.ms > 0);
  t.deepEqual(
    report.projects.map(({ folder }: { folder: string }) => folder),
    [second.folder],
  );
  t.true(report.projects[0].bytes > 0 && report.projects[0].bytes <= report.bytes);
  t.regex((await second.smol(['cache'])).stdout, /\nfound done in it so far: 15 steps, which had taken .*\n$/);
});

test.serial('an export that is damaged, cut off or none at all is refused, and harms nothing', async (t) => {
  const { second, file } = await projects(t);
  const good = readFileSync(file);
  const bad = second.path('bad.tar');
  const told = async (bytes: Buffer | string) => {
    writeFileSync(bad, bytes);
    const result = await second.smol(['cache', 'import', bad]);
    exits(t, result, 4);
    return second.told(result).split('\n')[0]!;
  };
  const flipped = Buffer.from(good);
  flipped[good.length - 5000]! ^= 1;
  t.regex(await told(flipped), /^error\[broken-export\]: .*blobs\/[0-9a-f]{64} is not what its name says$/);
  const record = Buffer.from(good);
  const at = record.indexOf('"step": "');
  record.write('x', at + 9);
  t.regex(await told(record), /steps\/[0-9a-f]{64}\.json is damaged$/);
  t.regex(await told(good.subarray(0, 20_000)), /cannot be imported: /);
  t.regex(await told('not an archive'), /cannot be imported: /);
  t.regex(await told(''), /cannot be imported: it is empty$/);
  rmSync(bad);
  const none = await second.smol(['cache', 'import', bad]);
  t.regex(second.told(none), /^error\[no-such-file\]: there is no file <project>\/bad\.tar/);
  const usage = await second.smol(['cache', 'export', bad]);
  exits(t, usage, 2);
  t.regex(
    usage.stderr,
    /required option '--for <service\.\.\.>' not specified\n {2}fix: see `smol cache export --help`/,
  );

  // Whatever of it came in is sound.
  exits(t, await second.smol(['cache', 'import', file]), 0);
  exits(t, await second.smol(['build', 'rescue', '--arch', 'i386', '--offline']), 0);
});
