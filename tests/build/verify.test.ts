import { cpSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { which } from '../../host/process.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

async function project(t: ExecutionContext) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  return { mirror, box };
}

test.serial('--verify: every step again, elsewhere, and all is the same', async (t) => {
  const { box, mirror } = await project(t);
  const first = await box.smol(['build', 'rescue', '--arch', 'amd64', '--verify']);
  exits(t, first, 0);
  t.regex(first.stderr, /✓ 13 steps made the same again, in another directory and at another date/);
  const requests = mirror.requests.length;
  const events = (await box.smol(['build', 'rescue', '--arch', 'amd64', '--verify', '--json'])).events;
  t.like(events.at(-1), { type: 'verified', steps: 13 });
  t.is(mirror.requests.length, requests, 'what is pinned is not fetched again');
});

test.serial('--verify: the step, the file and the byte, of a program that looks around', async (t) => {
  const { box } = await project(t);
  // An xz that puts its home into what it unpacks.
  const sed = 'sed "s|the rc of the set|the rc of $(printf %7.7s "$HOME")|"';
  box.write('bin/xz', `#!/bin/sh\n${which('xz')} "$@" | ${sed}\n`, 0o755);
  const env = { PATH: `${box.path('bin')}:${process.env.PATH}`, HOME: '/here/at/home' };
  const result = await box.smol(['build', 'rescue', '--arch', 'amd64', '--verify'], { env });
  exits(t, result, 1);
  t.is(
    box
      .told(result)
      .replace(/^[\s\S]*(?=error)/, '')
      .replace(/unpack \S+\//, 'unpack '),
    `error[not-reproducible]: unpack etc.tar.xz made something else when it was run again
  | they differ first in byte 26 of /etc/rc
  fix: something that it runs depends on the date, the directory, the locale or on chance`,
  );
});
