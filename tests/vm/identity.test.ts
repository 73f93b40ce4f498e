import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'ava';
import { freePort } from '../../host/ports.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

test('ssh into a guest whose keys it was given at its start, and its image has none of them', async (t) => {
  const box = linuxProject(t);
  for (const name of ['user', 'host'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', box.path(name)]);
  const port = await freePort('tcp');
  const run = await box.smol([
    ...['run', 'dropbear', '--detach', '--port', `${port}:22`],
    ...['--file', 'authorized_keys=user.pub', '-E', 'ssh_host_key=host'],
    ...['--var', 'GREETING=a "quoted" $(word), and a comma'],
  ]);
  exits(t, run, 0);
  t.true((run.stdout + run.stderr).includes(`ssh://127.0.0.1:${port}/`));
  // The host key is the one that was given: ssh accepts no other.
  const [type, key] = readFileSync(box.path('host.pub'), 'utf8').split(' ');
  box.write('known_hosts', `[127.0.0.1]:${port} ${type} ${key}\n`);
  const ssh = (command: string, identity = 'user') =>
    execFileSync(
      'ssh',
      [
        ...['-F', 'none', '-i', box.path(identity), '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
        ...['-o', `UserKnownHostsFile=${box.path('known_hosts')}`, '-o', 'StrictHostKeyChecking=yes'],
        ...['-p', String(port), 'root@127.0.0.1', command],
      ],
      { encoding: 'utf8', stdio: 'pipe' },
    );
  t.is(ssh('id -u; cat /var/qemufwcfg/opt/org.smolbsd.var.GREETING'), '0\na "quoted" $(word), and a comma');
  t.throws(() => ssh('true', 'host'), undefined, 'another key is refused');

  const image = readFileSync(box.path('images/dropbear-amd64.img'));
  for (const secret of ['user.pub', 'host', 'host.pub']) {
    t.false(image.includes(readFileSync(box.path(secret), 'utf8').split(/\s+/)[secret === 'host' ? 5 : 1]!), secret);
  }
  // Nor does anybody see it who lists the processes of the host.
  const [{ pid }] = JSON.parse((await box.smol(['ps', '--json'])).stdout) as [{ pid: number }];
  t.false(readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('quoted'));
});

test('variables reach the environment of /etc/rc; a file that cannot be read is told before anything is built', async (t) => {
  const box = linuxProject(t);
  const rc = `#!/bin/sh
/bin/busybox --install -s /bin
. /etc/include/linuxrc
echo "told: $COLOUR and $SIZE, $(cat /var/qemufwcfg/opt/org.smolbsd.file.note)"
poweroff -f
`;
  writeService(box, 'told', rc, 'run: {vars: {COLOUR: "green $(x)", SIZE: small}, files: {note: note.txt}}\n');
  box.write('services/told/note.txt', 'a note');
  const run = await box.smol(['run', 'told', '--var', 'SIZE=large one']);
  t.true(run.stdout.includes('told: green $(x) and large one, a note'), run.stdout + run.stderr);

  const missing = await box.smol(['run', 'dropbear', '-E', 'authorized_keys=no-such.pub']);
  exits(t, missing, 2);
  t.is(
    box.told(missing),
    `error[missing-file]: the guest is to have <project>/no-such.pub as authorized_keys, and it cannot be read
  fix: give another one with --file authorized_keys=<path>, or make it`,
  );
  t.regex((await box.smol(['run', 'told', '--var', 'no value'])).stderr, /short name, =, and what it stands for/);
});
