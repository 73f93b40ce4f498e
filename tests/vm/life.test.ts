import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

// Real boots, one at a time: several emulated guests on two cores would only time each other out.

/** A service with a shell on its console. */
const SHELL = `#!/bin/sh
/bin/busybox --install -s /bin
. /etc/include/linuxrc
[ -e /kept ] && echo "kept from before: $(cat /kept)"
echo 'the shell is ready'
exec sh -i < /dev/console > /dev/console 2>&1
`;
const READY = 'run: {ready: {console: the shell is ready}}\n';

test.serial('a VM that stays: ps, logs, send, console by a terminal, restart with its disk, rm', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'shell', SHELL, READY);
  const run = await box.smol(['run', 'shell', '-d', '--arch', 'amd64']);
  exits(t, run, 0);
  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as [Record<string, unknown>];
  t.like(vm, { name: 'shell', state: 'running', kept: true, ready: true });
  t.true((vm!.cpu as number) > 0 && (vm!.rss as number) > 2 ** 20);
  t.regex((await box.smol(['ps'])).stdout, /^shell +shell-amd64 +running +\d+ .* of 256 MiB +tcg$/m);

  const send = (...args: string[]) => box.smol(['send', 'shell', ...args]);
  t.regex((await send('echo $((6 * 7)) > /kept; sync; echo done.', '--expect', '^done\\.')).stdout, /done\./);
  t.regex((await send('cat /kept')).stdout, /^42$/m);
  const late = await send('true', '--expect', 'never this', '--timeout', '1');
  exits(t, late, 1);
  t.regex(late.stderr, /waited-too-long.*an answer of shell like \/never this\/m did not happen within 1 second/);
  t.regex((await box.smol(['logs', 'shell'])).stdout, /the shell is ready/);

  // As a person would: a terminal, typing, ^] to leave.
  const session = `smol-test-${process.pid}`;
  const tmux = (...args: string[]) => execFileSync('tmux', ['-L', session, ...args], { encoding: 'utf8' });
  const main = path.join(packageRoot(), 'build/smol/main.js');
  const command = `SMOL_CACHE=${box.cache} ${process.execPath} ${main} console shell; echo left with $?; exec cat`;
  tmux('new-session', '-d', '-x', '100', '-y', '30', '-c', box.folder, command);
  t.teardown(() => tmux('kill-server'));
  const screen = async (pattern: RegExp) => {
    for (let n = 0; n < 100; n++) {
      const text = tmux('capture-pane', '-p');
      if (pattern.test(text)) return text;
      await sleep(100);
    }
    throw new Error(`${pattern} was not seen in:\n${tmux('capture-pane', '-p')}`);
  };
  await screen(/the console of shell; \^\] leaves it running/);
  // There is one place at a console.
  const taken = await send('x');
  exits(t, taken, 2);
  t.regex(taken.stderr, /error\[console-taken\]: somebody is at the console of shell already \(pid \d+\)/);
  tmux('send-keys', 'echo typed $((40 + 2))', 'Enter');
  await screen(/^typed 42$/m);
  tmux('send-keys', 'C-]');
  await screen(/left with 0/);
  // The size of the terminal, which no serial line carries.
  tmux('respawn-pane', '-k', command.replace('console shell', 'console shell --resize'));
  for (const [columns, rows] of [
    [100, 30],
    [90, 25],
  ] as const) {
    tmux('resize-window', '-x', `${columns}`, '-y', `${rows}`);
    await screen(new RegExp(`stty rows ${rows} columns ${columns}`));
    tmux('send-keys', 'clear; echo size $(busybox stty size)', 'Enter');
    await screen(new RegExp(`^size ${rows} ${columns}$`, 'm'));
  }
  tmux('send-keys', 'C-]');
  await screen(/left with 0/);

  const restarted = await box.smol(['restart', 'shell']);
  exits(t, restarted, 0);
  t.true(restarted.stdout.includes('kept from before: 42'), restarted.stdout);

  exits(t, await box.smol(['rm', 'shell']), 2);
  exits(t, await box.smol(['stop', 'shell']), 0);
  t.regex((await box.smol(['ps', '--all'])).stdout, /^shell +shell-amd64 +stopped$/m);
  t.regex((await send('x')).stderr, /vm-not-running.*smol restart shell/s);

  // The image is built anew: what the VM wrote is not lost unless its owner says so.
  box.write('services/shell/etc/rc', `${SHELL}# changed\n`);
  const older = await box.smol(['run', 'shell', '-d', '--arch', 'amd64']);
  exits(t, older, 2);
  t.regex(
    older.stderr,
    /error\[older-disk\]: the VM shell has a disk of its own over an image that was built anew since/,
  );
  const resumed = await box.smol(['run', 'shell', '-d', '--arch', 'amd64', '--resume']);
  t.true(resumed.stdout.includes('kept from before: 42'), resumed.stdout + resumed.stderr);
  t.false((await send('cat /etc/rc')).stdout.includes('# changed'));
  await box.smol(['stop', 'shell']);
  // It is still the old image that its disk is over, whatever was done in between.
  t.regex((await box.smol(['run', 'shell', '-d', '--arch', 'amd64'])).stderr, /error\[older-disk\]/);
  const fresh = await box.smol(['run', 'shell', '-d', '--arch', 'amd64', '--fresh']);
  t.false(fresh.stdout.includes('kept from before'));
  t.true((await send('cat /etc/rc')).stdout.includes('# changed'));

  // Its end, waited for.
  const waiting = box.start(t, ['wait', 'shell']);
  const following = box.start(t, ['logs', '--follow', 'shell']);
  await following.until(/the shell is ready/);
  exits(t, await box.smol(['wait', 'shell', '--timeout', '1']), 1);
  await send('echo goodbye; sync; poweroff -f', '--timeout', '3');
  t.is(await waiting.ended, 0, waiting.output);
  t.is(await following.ended, 0);
  t.true(following.output.includes('goodbye'));
  exits(t, await box.smol(['rm', 'shell']), 0);
  const left = readdirSync(box.path('.smol/vm')).filter((name) => !name.startsWith('.'));
  t.deepEqual(left, []);
});

test.serial('more disks, lines and no network; an image and a kernel by path, without any project', async (t) => {
  const box = linuxProject(t);
  const rc = `#!/bin/sh
/bin/busybox --install -s /bin
. /etc/include/linuxrc
echo "disks: $(cat /sys/block/vd?/serial | tr '\\0' ' ')."
echo "drive: $(cat /dev/vda /dev/vdb | tr -d '\\0' | grep -a -o 'a second disk' | head -1)"
echo "interfaces: $(ls /sys/class/net | tr '\\n' ' ')."
echo 'all is said'
cat /dev/hvc0 > /dev/console &
exec sleep 1000
`;
  writeService(box, 'lines', rc, 'run: {ready: {console: all is said}}\n');
  const disk = Buffer.alloc(1024 * 1024);
  disk.write('a second disk');
  box.write('second.img', disk);
  const wanted = ['--drive', 'second.img', '--no-network', '--consoles', '1'];
  const run = await box.smol(['run', 'lines', '-d', '--arch', 'amd64', ...wanted]);
  exits(t, run, 0);
  t.true(run.stdout.includes('drive: a second disk'), run.stdout);
  t.regex(run.stdout, /disks: .*drive1/);
  t.regex(run.stdout, /interfaces: lo \./);
  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as [{ runtime: string; consoleLog: string }];
  const socket = connect(path.join(vm.runtime, 'console1'));
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  const heard = () => readFileSync(vm.consoleLog, 'utf8').includes('by the other line');
  for (let n = 0; n < 50 && !heard(); n++) {
    socket.write('by the other line\n');
    await sleep(200);
  }
  t.true(heard());
  socket.destroy();
  await box.smol(['rm', '--force', 'lines']);

  // The same by path, elsewhere, from what --print says.
  const extra = ['--', '-device', 'virtio-rng-device'];
  const print = await box.smol(['run', 'lines', '--arch', 'amd64', '--print', '--memory', '192M', ...extra]);
  exits(t, print, 0);
  t.regex(print.stdout, /^qemu-system-x86_64 -name lines .* -m 192M .* -device virtio-rng-device\n$/);
  t.false(existsSync(box.path('.smol/vm/lines/vm.json')));
  const word = (flag: string) => new RegExp(`${flag} (\\S+)`).exec(print.stdout)![1]!;
  mkdirSync(box.path('elsewhere'));
  const [kernel, initrd] = [box.path('elsewhere/kernel'), box.path('elsewhere/initrd')];
  symlinkSync(word('-kernel'), kernel);
  symlinkSync(word('-initrd'), initrd);
  const settings = { cwd: '/', env: { XDG_STATE_HOME: box.path('state') } };
  const files = ['--kernel', kernel, '--initrd', initrd, '--image', box.path('images/lines-amd64.img')];
  const second = ['--drive', box.path('second.img')];
  const bare = await box.smol(['run', ...files, '-d', '--name', 'bare', ...second], settings);
  exits(t, bare, 0);
  t.regex((await box.smol(['ps'], settings)).stdout, /^bare +lines-amd64 +running/m);
  t.regex((await box.smol(['ps'])).stdout, /^no VM/);
  exits(t, await box.smol(['rm', '--force', 'bare'], settings), 0);

  const nothing = await box.smol(['run'], settings);
  exits(t, nothing, 2);
  t.regex(nothing.stderr, /what is to be run\?/);
  box.write('no-kernel', Buffer.alloc(4096));
  t.regex((await box.smol(['run', '--kernel', 'no-kernel'])).stderr, /unknown-kernel-kind/);
});

test.serial('a job: files in, output, exit code and files out', async (t) => {
  const box = linuxProject(t);
  box.write('given/sub/text', 'some text');
  symlinkSync('sub/text', box.path('given/link'));
  box.write('given/run.sh', '#!/bin/sh\necho ran\n', 0o755);
  const script = `pwd; ./run.sh
tr a-z A-Z < link > $OUT/upper
mkdir $OUT/deep; ln -s ../upper $OUT/deep/link; chmod 751 $OUT/upper
echo to the other side >&2
exit 7
`;
  box.write('job.sh', script);
  const job = await box.smol(['run', 'hello', '--arch', 'amd64', '--exec', 'job.sh', '--in', 'given', '--out', 'left']);
  exits(t, job, 7);
  t.is(job.stdout, '/tmp/in\nran\nto the other side\n');
  t.is(readFileSync(box.path('left/upper'), 'utf8'), 'SOME TEXT');
  t.is(lstatSync(box.path('left/upper')).mode & 0o777, 0o751);
  t.is(readlinkSync(box.path('left/deep/link')), '../upper');
  t.deepEqual(readdirSync(box.path('left')), ['deep', 'upper']);
  t.regex((await box.smol(['ps', '--all'])).stdout, /^no VM/);

  // Megabytes of zeros are no end of an archive; and more than there is room for is said.
  box.write('job.sh', 'dd if=/dev/zero of=$OUT/zeros bs=1M count=3; echo end > $OUT/zz-last\n');
  exits(t, await box.smol(['run', 'hello', '--arch', 'amd64', '--exec', 'job.sh', '--out', 'left']), 0);
  t.is(lstatSync(box.path('left/zeros')).size, 3 * 1024 ** 2);
  t.is(readFileSync(box.path('left/zz-last'), 'utf8'), 'end\n');
  const large = await box.smol([
    'run',
    'hello',
    '--arch',
    'amd64',
    '--exec',
    'job.sh',
    '--out',
    'left',
    '--out-size',
    '1M',
  ]);
  exits(t, large, 1);
  t.regex(large.stderr, /error\[job-too-large\]: what the job left in \$OUT does not fit into 1M/);

  box.write('job.sh', 'echo halfway; poweroff -f; sleep 10\n');
  const gone = await box.smol(['run', 'hello', '--arch', 'amd64', '--exec', 'job.sh']);
  exits(t, gone, 1);
  t.regex(
    gone.stderr,
    /error\[job-unfinished\]: the VM ended before the job did, and left no results\n(.*\n)*.*halfway/,
  );
  t.regex((await box.smol(['run', 'hello', '--exec', 'none.sh'])).stderr, /no-such-file.*none\.sh/s);
  t.regex((await box.smol(['run', 'hello', '--in', 'given'])).stderr, /--in and --out are for a job/);
});
