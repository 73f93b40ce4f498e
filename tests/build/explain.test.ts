import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

/** A project with a rescue service of its own, and what commands say of it. */
async function project(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  const say = async (...args: string[]) => {
    const result = await box.smol([...args, '--arch', 'i386']);
    exits(t, result, 0);
    return result.stdout.trim();
  };
  return { box, mirror, say };
}

test.serial('why: the root cause in words, told from what followed', async (t) => {
  const { box, say } = await project(t);
  const none = await box.smol(['why', 'rescue', '--arch', 'i386']);
  exits(t, none, 2);
  t.is(
    box.told(none),
    'error[no-history]: rescue-i386 has not been built here yet\n  fix: build first; then `smol why` and `smol trace` can say what that did',
  );
  await say('build', 'rescue');
  t.is(await say('why', 'rescue'), 'rescue-i386: it had never been built here, so 16 steps had to run');

  box.write('services/rescue/etc/rc', box.read('services/rescue/etc/rc').replace('echo', '# one\n# two\necho'));
  box.write('services/rescue/etc/motd', 'hello\n');
  await say('build', 'rescue');
  const expected = `rescue-i386: 4 steps had to run, 12 stayed as they were
because of
  overlay services/rescue/etc: /etc/motd is new, /etc/rc changed 2 lines
and so
  compose rescue-i386: after overlay services/rescue/etc
  layout rescue-i386: after compose rescue-i386
  image rescue-i386: after layout rescue-i386 and compose rescue-i386`;
  t.is(await say('why', 'rescue'), expected);
  // A build that has nothing to do does not hide what the one before it did.
  await say('build', 'rescue');
  t.is(await say('why', 'rescue'), expected);

  rmSync(box.path('services/rescue/etc/motd'));
  box.write('services/rescue/service.yaml', box.read('services/rescue/service.yaml').replace('20M', '21M'));
  await say('build', 'rescue');
  t.is(
    await say('why', 'rescue'),
    `rescue-i386: 4 steps had to run, 12 stayed as they were
because of
  overlay services/rescue/etc: /etc/motd is gone
  layout rescue-i386: size changed in a manifest
and so
  compose rescue-i386: after overlay services/rescue/etc
  image rescue-i386: after layout rescue-i386 and compose rescue-i386`,
  );

  rmSync(box.path('images/rescue-i386.img'));
  await say('build', 'rescue');
  t.is(
    await say('why', 'rescue'),
    `rescue-i386: 1 step had to run, 15 stayed as they were
because of
  image rescue-i386: what it had made was gone or had been touched`,
  );
  const [json] = JSON.parse(await say('why', 'rescue', '--json'));
  t.deepEqual(json, {
    target: 'rescue-i386',
    ran: [{ step: 'image rescue-i386', causes: [{ kind: 'gone' }], after: [] }],
    cached: 15,
  });
});

test.serial('graph and --dry-run say what a build would do, and do nothing', async (t) => {
  const { box, mirror, say } = await project(t);
  const first = await say('build', 'rescue', '--dry-run');
  t.regex(
    first,
    /^run {4}fetch https:\S+rescue\.tgz {2}\(from http:\/\/127\.0\.0\.1:\d+\/\S+rescue\.tgz\)\nmaybe {2}unpack https:\S+rescue\.tgz\n/m,
  );
  t.regex(
    first,
    /\n16 steps to do, 0 cached; more than 0 ms: 16 steps never timed; to fetch more than 0 bytes: 3 sources not pinned yet$/,
  );
  t.deepEqual(mirror.requests, []);
  t.throws(() => box.read('smol.lock.yaml'), { code: 'ENOENT' });

  await say('build', 'rescue');
  t.is(await say('build', 'rescue', '--dry-run'), 'nothing to do: 16 steps cached');
  box.write('services/rescue/etc/rc', '#!/bin/sh\n');
  t.regex(
    await say('build', 'rescue', '--dry-run'),
    /^run {4}overlay services\/rescue\/etc {2}\(last time .*\)\nmaybe {2}compose rescue-i386 {2}\(.*\)\nmaybe {2}layout rescue-i386 {2}\(.*\)\nmaybe {2}image rescue-i386 {2}\(last time .*, 20 MiB\)\n4 steps to do, 12 cached; about \S+ m?s; nothing to fetch$/,
  );
  const tree = await say('graph', 'rescue');
  t.regex(tree, /^\? image rescue-i386\n├ \? compose rescue-i386\n│ ├ = compose rescue-i386 sets\n/);
  t.regex(tree, /\+ overlay services\/rescue\/etc\n/);
  t.regex(tree, /compose rescue-i386 sets \(above\)\n/);
  t.regex(
    await say('graph', 'rescue', '--dot'),
    /^digraph smol \{\n(.*\n)* {2}"compose rescue-i386" -> "image rescue-i386";\n(.*\n)*\}$/,
  );
  t.regex(await say('graph', 'rescue', '--mermaid'), /^flowchart LR\n(.*\n)* {2}s\d+ --> s\d+\n/);
  const { steps } = JSON.parse(await say('graph', 'rescue', '--json')) as { steps: { step: string; state: string }[] };
  t.is(steps.length, 16);
  t.is(steps.find(({ step }) => step === 'overlay services/rescue/etc')!.state, 'run');
});

test.serial('graph: a drawing, and a step that failed', async (t) => {
  const { box, mirror, say } = await project(t);
  await say('build', 'rescue');
  box.write('services/rescue/service.yaml', box.read('services/rescue/service.yaml').replace('20M', '1M'));
  const kernel = '/assets/netbsd-SMOL386';
  box.write('smol.lock.yaml', box.read('smol.lock.yaml').replace(/^ {2}\S+netbsd-SMOL386:\n( {4}.*\n)+/m, ''));
  mirror.serve(kernel, (_, response) => response.writeHead(500).end());
  exits(t, await box.smol(['build', 'rescue', '--arch', 'i386', '--keep-going']), 1);
  t.regex(
    await say('graph', 'rescue'),
    /^\? image rescue-i386\n(.*\n)*.*! layout rescue-i386\n(.*\n)*.*! fetch \S+netbsd-SMOL386\n/,
  );
  t.regex(await say('build', 'rescue', '--dry-run'), /^failed layout rescue-i386 /m);
  // What it failed with is not what it would be tried with now.
  box.write('services/rescue/service.yaml', box.read('services/rescue/service.yaml').replace('1M', '22M'));
  t.regex(await say('graph', 'rescue'), /^\? image rescue-i386\n(.*\n)*.*\+ layout rescue-i386\n/);

  t.is(await say('graph', 'rescue', '--svg', 'graph.svg'), 'wrote graph.svg');
  const drawing = box.read('graph.svg');
  t.regex(drawing, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" role="img"/);
  t.is(drawing.match(/<title>/g)!.length, 16);
  t.regex(drawing, /<title>layout rescue-i386: run, last time .*<\/title>/);
});

test.serial('two processes that want one key: one makes it, the other waits for it', async (t) => {
  const { box, mirror } = await project(t);
  const results = await Promise.all([1, 2, 3].map(() => box.smol(['build', 'rescue', '--arch', 'i386', '--json'])));
  t.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
  );
  const started = results.flatMap(({ events }) =>
    events.filter(({ type, kind }) => type === 'step-started' && kind === 'unpack').map(({ step }) => step),
  );
  t.is(started.length, 2, 'each set is unpacked by one of the three');
  t.true(mirror.requests.length > 0);
});
