import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

test.serial('help of smol and of each command', async (t) => {
  const box = new Sandbox(t);
  const help = await box.smol(['--help']);
  exits(t, help, 0);
  t.is(help.stderr, '');
  for (const command of ['build', 'run', 'ps', 'stop', 'list', 'update', 'init', 'doctor']) {
    t.regex(help.stdout, new RegExp(`^ {2}${command} `, 'm'));
    const one = await box.smol([command, '--help']);
    exits(t, one, 0);
    t.regex(one.stdout, new RegExp(`^Usage: smol ${command}`));
  }
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  t.is((await box.smol(['--version'])).stdout, `${version}\n`);
  exits(t, await box.smol(['help', 'run']), 0);
});

test.serial('wrong usage, with what was meant', async (t) => {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: netbsd-11\n');
  const said = async (...args: string[]) => {
    const result = await box.smol(args);
    exits(t, result, 2);
    t.is(result.stdout, '');
    return box.told(result);
  };
  t.is(
    await said('biuld', 'rescue'),
    "error[usage]: unknown command 'biuld'\n  fix: did you mean build? Or see `smol --help`",
  );
  t.is(
    await said('build', '--arhc', 'i386', 'x'),
    "error[usage]: unknown option '--arhc'\n  fix: did you mean --arch? Or see `smol build --help`",
  );
  t.is(await said('build'), "error[usage]: missing required argument 'service'\n  fix: see `smol build --help`");
  t.is(
    await said('run', 'hello', '--port', '8080'),
    "error[usage]: option '-p, --port <forward>' argument '8080' is invalid. It must be [address:]host:guest[/udp], such as 8080:80.\n  fix: see `smol run --help`",
  );
  t.is(
    await said('run', 'hello', '--memory', '12'),
    "error[usage]: option '-m, --memory <size>' argument '12' is invalid. It must be a size such as 256M.\n  fix: see `smol run --help`",
  );
  t.is(
    await said('stop'),
    'error[usage]: which VM is to be stopped?\n  fix: give its name, or --all; `smol ps` lists them',
  );
});

test.serial('no command at all shows the help', async (t) => {
  const box = new Sandbox(t);
  const result = await box.smol([]);
  exits(t, result, 2);
  t.is(result.stdout, '');
  t.regex(result.stderr, /^Usage: smol/);
  t.false(result.stderr.includes('error'));
});

test.serial('outside of a project', async (t) => {
  const box = new Sandbox(t);
  const result = await box.smol(['build', 'rescue']);
  exits(t, result, 2);
  t.is(
    box.told(result),
    'error[no-project]: there is no smol.config.yaml in <project> or above it\n  fix: run `smol init` to start a project here',
  );
});

test.serial('a project is found from below, like git does', async (t) => {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: netbsd-11\n');
  mkdirSync(box.path('services/deep/down'), { recursive: true });
  const result = await box.smol(['list'], { cwd: box.path('services/deep/down') });
  exits(t, result, 0);
  t.regex(result.stdout, /^rescue +smol +A minimal system/m);
});

test.serial('init makes a project and overwrites nothing', async (t) => {
  const box = new Sandbox(t);
  const result = await box.smol(['init']);
  exits(t, result, 0);
  t.regex(result.stdout, /wrote smol.config.yaml\n(.*\n)*now: smol run hello\n$/);
  t.regex((await box.smol(['list'])).stdout, /^hello +project +A page of ours/m);

  const again = await box.smol(['init']);
  exits(t, again, 2);
  t.is(box.told(again), 'error[exists]: smol.config.yaml is there already\n  fix: nothing was changed');
  const bad = await box.smol(['init', '../evil']);
  t.is(
    box.told(bad),
    'error[bad-name]: "../evil" is no name for a service\n  fix: use lower-case letters, digits, - and _, beginning with a letter',
  );
});

test.serial('doctor says what the host has', async (t) => {
  const box = new Sandbox(t);
  const result = await box.smol(['doctor']);
  t.regex(result.stdout, /^✓ node: v/m);
  t.regex(result.stdout, /^[✓!] run amd64: QEMU \d+\.\d+\S*, (kvm|tcg|nvmm|hvf)/m);
  t.regex(result.stdout, /^[✓!] disk: .* free for the cache in /m);
  const poor = await box.smol(['doctor'], { env: { PATH: '/nonexistent' } });
  exits(t, poor, 3);
  t.regex(poor.stdout, /^✗ run amd64: no qemu-system-x86_64$/m);
  t.regex(poor.stdout, /^✗ xz: missing; it unpacks sets/m);
});

test.serial('a service of the project comes before the one of the same name that smol brings', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  box.write('services/rescue/service.yaml', 'description: ours\nsets: [etc]\nsize: 8M\n');
  box.write('services/rescue/etc/rc', '#!/bin/sh\n');
  t.regex((await box.smol(['list'])).stdout, /^rescue +project +ours$/m);
  exits(t, await box.smol(['build', 'rescue', '--arch', 'i386']), 0);
  t.deepEqual(readdirSync(box.path('images')), ['rescue-i386.img']);
});
