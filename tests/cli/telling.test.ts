import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, Sandbox } from '../rig/sandbox.ts';

async function project(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  return box;
}

test.serial('a build leaves a trace and its events, and smol trace says what its end waited for', async (t) => {
  const box = await project(t);
  t.is(
    box.told(await box.smol(['trace'])).split('\n')[0],
    'error[no-history]: the project project has not been built here yet',
  );
  exits(t, await box.smol(['build', 'rescue', '--arch', 'i386']), 0);
  const [head, ...lines] = box
    .read('.smol/events.ndjson')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.like(head, { schema: 'smol.events/1' });
  t.is(lines[0].type, 'build-started');
  t.is(lines.at(-1).type, 'build-finished');
  t.true(lines.every((line, n) => n === 0 || line.at >= lines[n - 1].at));

  const { traceEvents } = JSON.parse(box.read('.smol/trace.json'));
  t.is(traceEvents.length, 16);
  // No two steps of one lane overlap.
  for (const a of traceEvents) {
    for (const b of traceEvents) {
      if (a !== b && a.tid === b.tid)
        t.true(a.ts + a.dur <= b.ts + 1 || b.ts + b.dur <= a.ts + 1, `${a.name} and ${b.name}`);
    }
  }
  const { critical } = JSON.parse((await box.smol(['trace', '--json'])).stdout);
  t.regex(critical[0].name, /^(fetch|furnish|overlay|declare)/);
  t.regex(
    (await box.smol(['trace'])).stdout,
    /^the last build took .*; its end waited for\n(.*\n)+all of it: open .*trace\.json/,
  );
});

test.serial('in GitHub Actions mistakes are annotations at their lines, and images a table', async (t) => {
  const box = await project(t);
  const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: box.write('summary.md', '') };
  exits(t, await box.smol(['build', 'rescue', '--arch', 'i386'], { env }), 0);
  t.regex(
    box.read('summary.md'),
    /^\| image \| size \| \|\n\|---\|---:\|---\|\n\| rescue-i386 \| 20 MiB \| built \|\n\n\d+ steps run, \d+ cached, /,
  );
  box.write('services/web/service.yaml', 'description: x\nsets: [etc]\nsiez: 8M\n');
  const result = await box.smol(['build', 'web'], { env });
  exits(t, result, 2);
  t.is(
    result.stdout,
    '::error file=services/web/service.yaml,line=3,col=1,title=unknown-key::unknown key "siez" (did you mean "size"?)\n',
  );
});

test.serial('bash completes commands, services and architectures', async (t) => {
  const box = await project(t);
  const smol = box.write('bin/smol', `#!/bin/sh\nexec node ${path.join(packageRoot(), 'build/smol/main.js')} "$@"\n`);
  chmodSync(smol, 0o755);
  const complete = (line: string) => {
    const words = line.split(' ');
    const script = `source <(smol completion bash); COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _smol; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...cleanEnvironment(), SMOL_CACHE: box.cache, PATH: `${path.dirname(smol)}:${process.env.PATH}` };
    return execFileSync('bash', ['-c', script], { cwd: box.folder, encoding: 'utf8', env }).trim().split('\n');
  };
  t.deepEqual(complete('smol bu'), ['build']);
  t.deepEqual(complete('smol build re'), ['rescue']);
  t.deepEqual(complete('smol run --arch evb'), ['evbarm-aarch64']);
  t.deepEqual(complete('smol run --mem'), ['--memory']);
  t.deepEqual(complete('smol completion z'), ['zsh']);
});
