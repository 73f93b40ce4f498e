import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { sha256 } from '../../host/files.ts';
import { isAlive } from '../../host/lock.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

/** Services that are up when their console says so. */
const UP = 'run: {ready: {console: it is up}}\n';
const RC = '#!/bin/sh\n/bin/busybox --install -s /bin\n. /etc/include/linuxrc\necho it is up\n';

test.serial('smol is killed: its VM is no orphan that nobody knows', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'left', RC, UP);
  const smol = box.start(t, ['run', 'left', '--arch', 'amd64']);
  await smol.until(/ready left/);
  smol.signal('SIGKILL');
  await smol.ended;
  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as [
    { name: string; pid: number; runtime: string },
  ];
  t.is(vm.name, 'left');
  t.true(isAlive(vm.pid));
  // Its name is taken; it can be talked to and stopped like any other, and leaves nothing.
  exits(t, await box.smol(['run', 'left', '--arch', 'amd64']), 2);
  t.regex((await box.smol(['logs', 'left'])).stdout, /it is up/);
  exits(t, await box.smol(['stop', 'left', '--timeout', '0']), 0);
  t.false(isAlive(vm.pid));
  t.false(existsSync(vm.runtime));
  t.regex((await box.smol(['ps', '--all'])).stdout, /^no VM/);
});

test.serial('a guest that ignores its power button is ended all the same, after its time', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'deaf', RC, UP);
  exits(t, await box.smol(['run', 'deaf', '-d', '--arch', 'amd64']), 0);
  const started = Date.now();
  const stop = await box.smol(['stop', 'deaf', '--timeout', '2']);
  exits(t, stop, 0);
  t.regex(stop.stderr, /pressing the power button of deaf; .*\ndeaf was stopped/);
  t.true(Date.now() - started >= 2000);
  exits(t, await box.smol(['rm', 'deaf']), 0);
});

test.serial('an image that a VM runs from is neither written to by another nor changed by a build', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'base', RC, UP);
  exits(t, await box.smol(['run', 'base', '-d', '--arch', 'amd64']), 0);
  const direct = await box.smol(['run', 'base', '--arch', 'amd64', '--direct', '--name', 'other']);
  exits(t, direct, 3);
  t.regex(direct.stderr, /error\[image-held\]: .*images\/base-amd64\.img is in use/);

  const below = box.path('.smol/vm/base/base.img');
  const digest = sha256(readFileSync(below));
  box.write('services/base/etc/rc', `${RC}# changed\n`);
  exits(t, await box.smol(['build', 'base', '--arch', 'amd64']), 0);
  t.is(sha256(readFileSync(below)), digest);
  t.not(sha256(readFileSync(box.path('images/base-amd64.img'))), digest);
  exits(t, await box.smol(['rm', '--force', 'base']), 0);
});

test.serial('the same name twice at once: one VM', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'once', RC, UP);
  exits(t, await box.smol(['build', 'once', '--arch', 'amd64']), 0);
  const runs = await Promise.all([1, 2, 3].map(() => box.smol(['run', 'once', '-d', '--arch', 'amd64'])));
  t.deepEqual(runs.map(({ code }) => code).sort(), [0, 2, 2]);
  t.is((JSON.parse((await box.smol(['ps', '--json'])).stdout) as unknown[]).length, 1);
  await box.smol(['rm', '--force', 'once']);
  await sleep(10);
});

test.serial('several VMs of one service, each by its name', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'many', RC, `${UP.replace('{ready', '{memory: 64M, ready')}`);
  exits(t, await box.smol(['build', 'many', '--arch', 'amd64']), 0);
  const names = ['one', 'two', 'three', 'four'];
  const run = (name: string) =>
    box.smol(['run', 'many', '-d', '--arch', 'amd64', '-m', '96M', '--name', name, '--timeout', '120']);
  const runs = await Promise.all(names.map(run));
  t.deepEqual(
    runs.map(({ code }) => code),
    [0, 0, 0, 0],
    runs.map(({ stderr }) => stderr).join(),
  );
  const found = JSON.parse((await box.smol(['ps', '--json'])).stdout) as { name: string }[];
  t.deepEqual(
    found.map(({ name }) => name),
    [...names].sort(),
  );
  exits(t, await box.smol(['stop', '--all', '--timeout', '0']), 0);
  exits(t, await box.smol(['rm', ...names]), 0);
});

const asRoot = process.getuid?.() === 0 ? test.serial : test.skip;

asRoot('the disk of the host is full: the guest is told, and goes on (needs root, to mount a small one)', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'full', `${RC}exec sh -i < /dev/console > /dev/console 2>&1\n`, UP);
  box.write('services/full/service.yaml', box.read('services/full/service.yaml').replace('8M', '64M'));
  exits(t, await box.smol(['build', 'full', '--arch', 'amd64']), 0);
  mkdirSync(box.path('.smol/vm'), { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12M', 'small', box.path('.smol/vm')]);
  t.teardown(() => execFileSync('umount', [box.path('.smol/vm')]));
  exits(t, await box.smol(['run', 'full', '-d', '--arch', 'amd64']), 0);
  const write = 'dd if=/dev/zero of=/big bs=1M count=40; sync; echo written';
  const said = await box.smol(['send', 'full', write, '--expect', '^written', '--timeout', '60']);
  exits(t, said, 0);
  t.regex((await box.smol(['send', 'full', 'dmesg | tail -20'])).stdout, /I\/O error/);
  exits(t, await box.smol(['rm', '--force', 'full']), 0);
});

test.serial('its terminal is closed: the VM that it showed ends', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'closed', RC, UP);
  const smol = box.start(t, ['run', 'closed', '--arch', 'amd64']);
  await smol.until(/ready closed/);
  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as [{ pid: number }];
  smol.signal('SIGHUP');
  // Its guest has no ear for the power button; a second signal does not wait for it.
  await sleep(500);
  smol.signal('SIGHUP');
  await smol.ended;
  for (let n = 0; n < 200 && isAlive(vm.pid); n++) await sleep(10);
  t.false(isAlive(vm.pid));
});
