import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import test from 'ava';
import { sha256 } from '../../host/files.ts';
import { isAlive } from '../../host/lock.ts';
import { packageRoot } from '../../host/paths.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { cleanEnvironment, exits, type Result, runProgram } from '../rig/sandbox.ts';

// Real boots, one at a time: several emulated guests on two cores would only time each other out.

function ready(result: Result): { urls: string[]; clocks: { console: number; userland: number; ready: number } } {
  return result.events.find(({ type }) => type === 'vm-ready') as never;
}

test.serial('hello on amd64 answers HTTP, and stops by its power button', async (t) => {
  const box = linuxProject(t);
  let page = '';
  const result = await box.smol(['run', 'hello', '--arch', 'amd64', '--port', '18080:80', '--json'], {
    watch: (text, pid) => {
      if (!text.includes('"type":"vm-ready"')) return;
      void fetch('http://127.0.0.1:18080/')
        .then((response) => response.text())
        .then((body) => {
          page = body;
        })
        .finally(() => process.kill(pid, 'SIGINT'));
    },
  });
  exits(t, result, 130);
  t.regex(page, /Hello from a micro-VM/);
  t.regex(page, /<dd>Linux \S+, x86_64<\/dd>/);
  const { urls, clocks } = ready(result);
  t.deepEqual(urls, ['http://127.0.0.1:18080/']);
  t.true(
    clocks.console > 0 && clocks.console < clocks.userland && clocks.userland < clocks.ready,
    JSON.stringify(clocks),
  );
  t.like(
    result.events.find(({ type }) => type === 'vm-stopped'),
    { how: 'powered off' },
  );
  t.regex((await box.smol(['ps'])).stdout, /^no VM of this project is running/);
});

test.serial('hello on aarch64, detached: ps, a busy port, a second VM, stop', async (t) => {
  const box = linuxProject(t);
  const started = await box.smol(['run', 'hello', '--arch', 'arm64', '--port', '18081:80', '--detach']);
  exits(t, started, 0);
  t.regex(started.stderr, /ready hello {2}http:\/\/127\.0\.0\.1:18081\/ {2}console .*, user land .*, answer /);
  t.regex(await (await fetch('http://127.0.0.1:18081/')).text(), /aarch64/);

  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as {
    name: string;
    pid: number;
    consoleLog: string;
  }[];
  t.is(vm!.name, 'hello');
  t.regex(readFileSync(vm!.consoleLog, 'utf8'), /smol: init/);
  // The guest writes to a disk of its own.
  const image = box.path('images/hello-evbarm-aarch64.img');
  const digest = sha256(readFileSync(image));

  const again = await box.smol(['run', 'hello', '--arch', 'arm64', '--port', '18082:80']);
  exits(t, again, 2);
  t.is(
    box.told(again),
    `error[vm-running]: hello is running already (pid ${vm!.pid})\n  fix: stop it with \`smol stop hello\`, or start another with --name`,
  );
  const busy = await box.smol(['run', 'hello', '--arch', 'arm64', '--port', '18081:80', '--name', 'two']);
  exits(t, busy, 3);
  t.is(
    box.told(busy),
    'error[port-busy]: port 18081 of 127.0.0.1 is taken by the VM hello\n  fix: choose another with --port 18082:<guest port>, or run `smol stop hello`',
  );

  const wrong = await box.smol(['stop', 'helo']);
  exits(t, wrong, 2);
  t.is(box.told(wrong), 'error[no-such-vm]: there is no VM "helo" (did you mean "hello"?)\n  fix: there is hello');
  exits(t, await box.smol(['stop', 'hello']), 0);
  t.false(isAlive(vm!.pid));
  t.is(sha256(readFileSync(image)), digest);
  exits(t, await box.smol(['stop', 'hello']), 2);
  exits(t, await box.smol(['rm', 'hello']), 0);
  t.false(existsSync(path.dirname(vm!.consoleLog)));
});

test.serial('a port that someone else has is told before anything is built', async (t) => {
  const box = linuxProject(t);
  const server = createServer().listen(18083, '127.0.0.1');
  t.teardown(() => server.close());
  const result = await box.smol(['run', 'hello', '--port', '18083:80']);
  exits(t, result, 3);
  t.is(
    box.told(result),
    'error[port-busy]: port 18083 of 127.0.0.1 is taken\n  fix: choose another with --port 18084:<guest port>, or stop what listens there',
  );
  t.false(existsSync(box.path('images')));
});

test.serial('ports and addresses that cannot be', async (t) => {
  const box = linuxProject(t);
  const said = async (port: string) => {
    const result = await box.smol(['run', 'hello', '--port', port]);
    exits(t, result, 2);
    return box.told(result).split('\n')[0];
  };
  t.is(await said('99999:80'), 'error[bad-address]: 127.0.0.1:99999:80 cannot be listened on: there is no port 99999');
  t.is(await said('8080:0'), 'error[bad-address]: 127.0.0.1:8080:0 cannot be listened on: there is no port 0');
  t.is(await said('192.0.2.1:8080:80'), 'error[bad-address]: 192.0.2.1:8080:80 cannot be listened on: EADDRNOTAVAIL');
});

test.serial('a guest that panics ends by itself, with its last words', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'panics', '#!/bin/sh\n', 'run: {ports: ["18084:80"]}\n');
  box.write(
    'services/panics/service.yaml',
    box.read('services/panics/service.yaml').replace('/sbin/init: /bin/busybox', '/sbin/init: /none'),
  );
  const result = await box.smol(['run', 'panics', '--arch', 'amd64']);
  exits(t, result, 1);
  const text = box.told(result);
  t.regex(
    text,
    /error\[guest-panicked\]: the guest of panics panicked: \[.*\] Kernel panic - not syncing: Attempted to kill init!/,
  );
  t.regex(text, / {2}\| switch_root: can't execute '\/sbin\/init': No such file or directory\n/);
  t.regex((await box.smol(['ps'])).stdout, /^no VM/);
});

test.serial('a guest that never answers is stopped when its time is up', async (t) => {
  const box = linuxProject(t);
  writeService(
    box,
    'silent',
    '#!/bin/sh\necho "I will say nothing more"\n',
    'run: {ports: ["18085:80"], ready: {http: /}}\n',
  );
  const result = await box.smol(['run', 'silent', '--arch', 'amd64', '--timeout', '12']);
  exits(t, result, 1);
  const text = box.told(result);
  t.regex(
    text,
    /error\[guest-silent\]: silent has not answered http:\/\/127\.0\.0\.1:18085\/ within 12 seconds, so it was stopped\n/,
  );
  t.regex(text, / {2}\| I will say nothing more\n {2}fix: look at the console above; /);
  t.regex((await box.smol(['ps'])).stdout, /^no VM/);
});

test.serial('a guest that powers off before it answers', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'brief', '#!/bin/sh\necho goodbye\n/bin/busybox poweroff -f\n', 'run: {ports: ["18086:80"]}\n');
  const result = await box.smol(['run', 'brief', '--arch', 'amd64']);
  exits(t, result, 1);
  t.regex(
    box.told(result),
    /error\[guest-exited\]: brief ended before it answered: QEMU exited with 0\n(.*\n)* {2}\| goodbye/,
  );
});

test.serial('a VM whose QEMU was killed is not listed, and leaves the name free', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'idle', '#!/bin/sh\n');
  exits(t, await box.smol(['run', 'idle', '--arch', 'amd64', '-d']), 0);
  const [vm] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as { pid: number; runtime: string }[];
  process.kill(vm!.pid, 'SIGKILL');
  while (isAlive(vm!.pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  t.regex((await box.smol(['ps'])).stdout, /^no VM/);
  t.false(existsSync(vm!.runtime));
});

test.serial('a QEMU that does not start says why', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'odd', '#!/bin/sh\n', 'kernel: odd\n');
  box.write(
    'kernels/odd.yaml',
    'description: x\nguest: linux\narchs: {amd64: {source: "file:odd", machine: no-such-machine}}\n',
  );
  writeFileSync(box.path('kernels/odd'), 'no kernel');
  const result = await box.smol(['run', 'odd', '--arch', 'amd64']);
  exits(t, result, 1);
  t.regex(
    box.told(result),
    /error\[guest-exited\]: odd ended before it answered: QEMU exited with 1\n(.*\n)*.*unsupported machine type/,
  );
});

test.serial('no QEMU: the exact line to run', async (t) => {
  const box = linuxProject(t);
  const result = await box.smol(['run', 'hello', '--arch', 'amd64'], { env: { PATH: '/nonexistent' } });
  exits(t, result, 3);
  t.is(
    box.told(result),
    'error[missing-program]: this host lacks qemu-system-x86_64\n  fix: install it and make sure that it is on the PATH',
  );
  const folder = box.path('bin');
  box.write('bin/apt-get', '#!/bin/sh\nexit 1\n', 0o755);
  const debian = await box.smol(['run', 'hello', '--arch', 'arm64'], { env: { PATH: folder } });
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  t.is(
    box.told(debian),
    `error[missing-program]: this host lacks qemu-system-aarch64\n  fix: run: ${sudo}apt-get install -y --no-install-recommends qemu-system-arm`,
  );
});

test.serial('packed and installed in a clean prefix: smol init && smol run hello, in any folder', async (t) => {
  const box = linuxProject(t);
  const npm = (...args: string[]) =>
    execFileSync('npm', args, { cwd: packageRoot(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  // The compiled code is there already; other tests are using it.
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', box.folder];
  const [packed] = JSON.parse(npm(...pack)) as { filename: string; files: { path: string }[] }[];
  const files = packed!.files.map((file) => file.path);
  t.deepEqual(
    files.filter((file) => /^(tests|bench|scripts|node_modules|images|\.smol)/.test(file)),
    [],
  );
  const prefix = box.path('prefix');
  npm('install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', box.path(packed!.filename));

  const folder = box.path('elsewhere');
  mkdirSync(folder);
  const env = { ...cleanEnvironment(), SMOL_CACHE: box.cache };
  const smol = (...args: string[]) => runProgram([path.join(prefix, 'bin', 'smol'), ...args], { cwd: folder, env });
  exits(t, await smol('init'), 0);
  box.write('elsewhere/smol.lock.yaml', box.read('smol.lock.yaml'));
  const result = await smol('run', 'hello', '--arch', 'amd64', '--port', '18087:80', '--detach');
  exits(t, result, 0);
  t.regex(await (await fetch('http://127.0.0.1:18087/')).text(), /<h1>hello<\/h1>/);
  exits(t, await smol('stop', '--all'), 0);
});

test.serial('run --watch: a saved file is in the guest that starts anew', async (t) => {
  const box = linuxProject(t);
  rmSync(box.path('smol.config.yaml'));
  exits(t, await box.smol(['init', 'pages']), 0);
  const smol = box.start(t, ['run', 'pages', '--arch', 'amd64', '--port', '18086:80', '--watch']);
  await smol.until(/ready pages/);
  const page = async () => (await fetch('http://127.0.0.1:18086/')).text();
  t.regex(await page(), /<h1>pages<\/h1>/);
  const file = 'services/pages/root/www/index.html';
  box.write(file, box.read(file).replace('<h1>pages', '<h1>other pages'));
  t.regex(
    await smol.until(/ready pages/),
    /✓ pages-amd64 built in .*, after services\/pages\/root\/www\/index\.html\n/,
  );
  t.regex(await page(), /<h1>other pages<\/h1>/);
  // A guest that ends by itself waits for the change that mends it.
  const rc = box.read('services/pages/etc/rc');
  box.write('services/pages/etc/rc', rc.replace('echo', '/bin/busybox poweroff -f\necho'));
  await smol.until(/error\[guest-exited\]/);
  box.write('services/pages/etc/rc', rc);
  await smol.until(/ready pages/);
  smol.signal('SIGINT');
  t.is(await smol.ended, 130);
  t.regex((await box.smol(['ps'])).stdout, /^no VM of this project is running/);
});
