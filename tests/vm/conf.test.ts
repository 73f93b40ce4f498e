import test from 'ava';
import { linuxProject } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

test('settings of startnb.sh are read as data, with all that they can say', async (t) => {
  const box = linuxProject(t);
  box.write(
    'etc/hello.conf',
    `# a service
mem=192m
cores=2
tag=x
append="-v tag=\${tag} $svc"
hostfwd=::8180-:80,udp::5353-:53,tcp:127.0.0.1:8181-:81
fwcfgvar=COLOUR=green,SIZE="very large"
serial_port=5555   # telnet
max_ports=3
nonet=
sharerw=yes
qmp_port=4444
extra='-device virtio-rng-device'
`,
  );
  const command = ['run', '-f', 'etc/hello.conf', '--arch', 'amd64', '--print'];
  const print = await box.smol(command);
  exits(t, print, 0);
  const has = (words: string) => t.true(print.stdout.includes(words), `${words} in ${print.stdout}`);
  t.regex(print.stdout, /-name hello .* -smp 2 -m 192M /);
  has('-v tag=x hello');
  has('hostfwd=tcp:127.0.0.1:8180-:80,hostfwd=udp:127.0.0.1:5353-:53,hostfwd=tcp:127.0.0.1:8181-:81');
  has('name=opt/org.smolbsd.var.COLOUR,file=');
  t.false(print.stdout.includes('green'), 'what one VM is told is not for all to read');
  has('host=127.0.0.1,port=5555,server=on,wait=off,telnet=on');
  t.is([...print.stdout.matchAll(/virtconsole/g)].length, 3);
  has('share-rw=on');
  has('-qmp tcp:127.0.0.1:4444,server=on,wait=off -device virtio-rng-device');
  // A flag says otherwise than the file.
  t.true((await box.smol([...command, '-m', '64M'])).stdout.includes('-m 64M'));
});

test('settings that would run something, or mean nothing', async (t) => {
  const box = linuxProject(t);
  const said = async (text: string) => {
    box.write('etc/hello.conf', text);
    const result = await box.smol(['run', '-f', 'etc/hello.conf', '--arch', 'amd64', '--print']);
    exits(t, result, 2);
    return box.told(result);
  };
  t.is(
    await said('mem=128m\nimg=$(rm -rf /)\n'),
    `error[conf-command]: this is a command; the file is read, and nothing in it is run
 --> etc/hello.conf:2:1
2 | img=$(rm -rf /)
  | ^^^^^^^^^^^^^^^
  fix: write what it would give, as key=value`,
  );
  t.regex(await said('. ./other.conf\n'), /conf-command/);
  t.regex(
    await said('memm=128m\n'),
    /error\[unknown-key\]: unknown key "memm" \(did you mean "mem"\?\)\n --> etc\/hello\.conf:1:1/,
  );
  t.regex(await said('hostfwd=8080\n'), /hostfwd of etc\/hello\.conf must be \[tcp\|udp\]/);
  t.regex(await said('mem=lots\n'), /mem of etc\/hello\.conf must be a size such as 256m, not "lots"/);
  t.regex((await box.smol(['run', '-f', 'none.conf'])).stderr, /no-such-file.*none\.conf/s);
});
