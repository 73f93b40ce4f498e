import test, { type ExecutionContext } from 'ava';
import { exits, Sandbox } from '../rig/sandbox.ts';

/** Builds a service with this manifest, and gives what was said. */
async function told(
  t: ExecutionContext,
  manifest: string,
  more: Record<string, string> = {},
  args = ['build', 'web', '--arch', 'i386'],
) {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: netbsd-11\n');
  box.write('services/web/service.yaml', manifest);
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  for (const [name, text] of Object.entries(more)) box.write(name, text);
  const result = await box.smol(args);
  exits(t, result, 2);
  return box.told(result);
}

const GOOD = 'description: x\nsets: [base]\n';

test.serial('an unknown key, with what was meant', async (t) => {
  t.is(
    await told(t, `${GOOD}run:\n  memroy: 128M\n`),
    `error[unknown-key]: unknown key "memroy" (did you mean "memory"?)
 --> services/web/service.yaml:4:3
4 |   memroy: 128M
  |   ^^^^^^
  fix: use append, bridge, consoles, cpus, drives, extra, files, imageAsInitrd, memory, network, ports, ready, root, serial, share, shareRw or vars`,
  );
});

test.serial('a wrong type, and the number that should have been quoted', async (t) => {
  t.is(
    await told(t, 'description: x\nsets: base\nfiles:\n  /etc/rc: {mode: 0644}\n'),
    `error[wrong-type]: sets must be a list, this is a string
 --> services/web/service.yaml:2:7
2 | sets: base
  |       ^^^^
error[wrong-type]: files./etc/rc.mode must be a string, this is the number 0644
 --> services/web/service.yaml:4:19
4 |   /etc/rc: {mode: 0644}
  |                   ^^^^
  fix: put it in quotes`,
  );
});

test.serial('several mistakes are told at once, in their order', async (t) => {
  t.is(
    await told(t, 'sets: []\nsize: 20MB\nrun:\n  cpus: 0\n  ports: ["80"]\nlinks: {bin/sh: x}\n'),
    `error[missing-key]: the key "description" is missing
 --> services/web/service.yaml:1:1
1 | sets: []
  | ^^^^^^^^
  fix: add description: One line: what the image is for.
error[invalid-value]: sets must be not empty, not []
 --> services/web/service.yaml:1:7
1 | sets: []
  |       ^^
error[invalid-value]: size must be a size such as 20M or 1G, auto, auto+64M or auto+10%, not "20MB"
 --> services/web/service.yaml:2:7
2 | size: 20MB
  |       ^^^^
error[invalid-value]: run.cpus must be at least 1, not 0
 --> services/web/service.yaml:4:9
4 |   cpus: 0
  |         ^
error[invalid-value]: run.ports[0] must be [address:]host:guest[/udp], such as "8080:80", not "80"
 --> services/web/service.yaml:5:11
5 |   ports: ["80"]
  |           ^^^^
error[invalid-value]: links must be a path that begins with / and has no . or .. in it, not "bin/sh"
 --> services/web/service.yaml:6:9
6 | links: {bin/sh: x}
  |         ^^^^^^`,
  );
});

test.serial('a manifest that is not YAML, or is empty', async (t) => {
  t.is(
    await told(t, 'description: x\nsets: [base\nsize: 20M\n'),
    `error[not-yaml]: this is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]
 --> services/web/service.yaml:3:1
3 | size: 20M
  | ^`,
  );
  t.is(
    await told(t, '# nothing yet\n'),
    `error[empty-manifest]: <project>/services/web/service.yaml is empty
  fix: write what schema/service.schema.json describes, or remove the file`,
  );
});

test.serial('a set, a release, a kernel that there is not', async (t) => {
  t.is(
    await told(t, 'description: x\nsets: [bse, etc]\n'),
    `error[unknown-set]: there is no set "bse" (did you mean "base"?)
 --> services/web/service.yaml:2:8
2 | sets: [bse, etc]
  |        ^^^
  fix: use base, comp, debug, dtb, etc, games, gpufw, man, manhtml, misc, modules, rescue, tests, text, xbase, xcomp, xdebug, xetc, xfont or xserver`,
  );
  t.is(
    await told(t, `${GOOD}release: netbsd11\n`),
    `error[unknown-release]: there is no release "netbsd11" (did you mean "netbsd-11"?)
 --> services/web/service.yaml:3:10
3 | release: netbsd11
  |          ^^^^^^^^
  fix: use debian, netbsd-10, netbsd-11 or netbsd-head`,
  );
  t.is(
    await told(t, `${GOOD}kernel: smoll\n`),
    `error[unknown-kernel]: there is no kernel "smoll" (did you mean "smol"?)
 --> services/web/service.yaml:3:9
3 | kernel: smoll
  |         ^^^^^
  fix: use debian, generic64, smol or smol386`,
  );
});

test.serial('a service and an architecture that there is not', async (t) => {
  t.is(
    await told(t, GOOD, {}, ['build', 'rescu', '--arch', 'i386']),
    `error[unknown-service]: there is no service "rescu" (did you mean "rescue"?)
  fix: use baked, base, bozohttpd, dropbear, games, hello, imgbuilder, linuxbuilder, live, mport, nginx, nitrosshd, pipe, rescue, runbsd, sshd, tslog, usershell or web, or write services/rescu/service.yaml`,
  );
  t.is(
    await told(t, GOOD, {}, ['build', 'web', '--arch', 'amd46']),
    `error[unknown-arch]: there is no architecture "amd46" (did you mean "amd64"?)
  fix: use amd64, i386 or evbarm-aarch64`,
  );
  t.is(
    await told(t, `${GOOD}overrides:\n  arm46: {size: 1G}\n`),
    `error[unknown-arch]: there is no architecture "arm46" (did you mean "arm64"?)
 --> services/web/service.yaml:4:3
4 |   arm46: {size: 1G}
  |   ^^^^^
  fix: use amd64, i386 or evbarm-aarch64`,
  );
  t.is(
    await told(t, `${GOOD}kernel: smol\n`),
    `error[unsupported-arch]: the kernel smol is not made for i386
  fix: use --arch amd64`,
  );
});

test.serial('a kernel of another system than the release: both places', async (t) => {
  const release = 'description: x\nguest: linux\nsource: "file:x"\nsets: [one]\narchs: {i386: {kernel: debian}}\n';
  t.is(
    await told(t, 'description: x\nsets: [one]\nrelease: own\nkernel: smol386\n', { 'sets/own.yaml': release }),
    `error[guest-mismatch]: the kernel smol386 is of netbsd, but the release own is of linux
 --> services/web/service.yaml:4:9
4 | kernel: smol386
  |         ^^^^^^^
 --> sets/own.yaml:2:8
2 | guest: linux
  |        ^^^^^ the release is of linux
  fix: name a kernel of linux in the service's kernel: key`,
  );
});

test.serial('a file system that the guest cannot mount', async (t) => {
  t.is(
    await told(t, 'description: x\nrelease: debian\nsets: [busybox-static]\nfs: ffs\n', {}, [
      'build',
      'web',
      '--arch',
      'amd64',
    ]),
    `error[guest-cannot-mount]: linux cannot have its root on ffs
 --> services/web/service.yaml:4:5
4 | fs: ffs
  |     ^^^
  fix: use ext2`,
  );
});

test.serial('a service without etc/rc', async (t) => {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', '# all by default\nrelease: netbsd-11\n');
  box.write('services/web/service.yaml', GOOD);
  const result = await box.smol(['build', 'web', '--arch', 'i386']);
  exits(t, result, 2);
  t.is(
    box.told(result),
    `error[missing-rc]: the service web has no etc/rc, so its image would start nothing
  fix: write services/web/etc/rc: a shell script that the guest runs at boot`,
  );
});

test.serial('services that are made from each other: the whole circle', async (t) => {
  const service = (from: string) => `description: x\nfrom: ${from}\n`;
  t.is(
    await told(t, service('one'), {
      'services/one/service.yaml': service('two'),
      'services/two/service.yaml': service('three'),
      'services/three/service.yaml': service('one'),
    }),
    `error[cycle]: the service one is made from itself
 --> services/one/service.yaml:2:7
2 | from: two
  |       ^^^ one is made from two
 --> services/two/service.yaml:2:7
2 | from: three
  |       ^^^^^ two is made from three
 --> services/three/service.yaml:2:7
2 | from: one
  |       ^^^ three is made from one
  fix: remove one of these from: keys`,
  );
  t.regex(await told(t, service('web')), /^error\[cycle\]: the service web is made from itself\n/);
  t.regex(await told(t, service('bas')), /^error\[unknown-service\]: there is no service "bas" .*\n --> services\/web/);
  t.regex(
    await told(t, 'description: x\n'),
    /^error\[missing-key\]: the key "sets" is missing\n(.*\n)*.*from: another service$/,
  );
});

test.serial('what comes with a later version is refused by name', async (t) => {
  t.is(
    await told(t, GOOD, { 'services/web/packages/nginx.yaml': '' }),
    `error[not-yet]: services/web/packages is understood, but this version of smol cannot do its work yet
  fix: move packages away, or wait for a version that can: nothing is ignored silently`,
  );
});

test.serial('a wrong configuration, a wrong catalogue, a wrong lock file', async (t) => {
  t.is(
    await told(t, GOOD, { 'smol.config.yaml': 'mirors: {a: b}\n' }),
    `error[unknown-key]: unknown key "mirors" (did you mean "mirrors"?)
 --> smol.config.yaml:1:1
1 | mirors: {a: b}
  | ^^^^^^
  fix: use arch, cache, executor, fs, mirrors, pools, registry, release or sourceDate`,
  );
  t.is(
    await told(t, `${GOOD}release: own\n`, {
      'sets/own.yaml':
        'description: x\nguest: openbsd\nsource: "ftp://x"\nsets: [base]\narchs: {i386: {kernel: smol386}}\n',
    }),
    `error[invalid-value]: guest must be netbsd or linux, not "openbsd"
 --> sets/own.yaml:2:8
2 | guest: openbsd
  |        ^^^^^^^
error[invalid-value]: source must be a URL, file:<path> or apt:<package>:<arch>, not "ftp://x"
 --> sets/own.yaml:3:9
3 | source: "ftp://x"
  |         ^^^^^^^^^`,
  );
  t.is(
    await told(t, GOOD, { 'smol.lock.yaml': 'version: 1\npins:\n  https://x: {sha256: abc, size: 1}\n' }),
    `error[invalid-value]: pins.https://x.sha256 must be a SHA-256: 64 hex digits, not "abc"
 --> smol.lock.yaml:3:23
3 |   https://x: {sha256: abc, size: 1}
  |                       ^^^`,
  );
});

test.serial('a name too long for the partition table', async (t) => {
  const name = 'a-service-with-a-name-that-is-very-long';
  t.is(
    await told(t, GOOD, { [`services/${name}/service.yaml`]: GOOD, [`services/${name}/etc/rc`]: '' }, [
      'build',
      name,
      '--arch',
      'i386',
    ]),
    `error[long-name]: the partition name "${name}root" is longer than the 36 characters that GPT has room for
  fix: give the service a shorter name`,
  );
});

test.serial('paths that lead out, and days that there are not', async (t) => {
  t.is(
    await told(t, `${GOOD}links:\n  /../evil: x\ndirectories: [/a/./b]\n`),
    `error[invalid-value]: links must be a path that begins with / and has no . or .. in it, not "/../evil"
 --> services/web/service.yaml:4:3
4 |   /../evil: x
  |   ^^^^^^^^
error[invalid-value]: directories[0] must be a path that begins with / and has no . or .. in it, not "/a/./b"
 --> services/web/service.yaml:5:15
5 | directories: [/a/./b]
  |               ^^^^^^`,
  );
  t.is(
    await told(t, GOOD, { 'smol.config.yaml': 'sourceDate: "2026-13-01"\n' }),
    `error[bad-date]: there is no day 2026-13-01, or it is after January 2038
 --> smol.config.yaml:1:13
1 | sourceDate: "2026-13-01"
  |             ^^^^^^^^^^^^`,
  );
});

test.serial('a list where a mapping should be, a key twice, a regular expression that is none', async (t) => {
  t.is(
    await told(t, '- description: x\n'),
    `error[wrong-type]: the document must be a mapping, this is a list
 --> services/web/service.yaml:1:1
1 | - description: x
  | ^^^^^^^^^^^^^^^^`,
  );
  t.regex(
    await told(t, `${GOOD}description: y\n`),
    /^error\[not-yaml\]: this is not YAML: Map keys must be unique\n --> services\/web\/service.yaml:3:1\n/,
  );
  t.regex(
    await told(t, `${GOOD}run: {ready: {console: "(("}}\n`),
    /^error\[invalid-value\]: run.ready.console must be a regular expression, not "\(\("/,
  );
});
