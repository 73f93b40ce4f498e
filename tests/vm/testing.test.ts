import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'ava';
import { linuxProject, writeService } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

interface Report {
  target: string;
  ok: boolean;
  cached: boolean;
  console?: string;
  checks: { name: string; failure?: string }[];
}

test('smol test: boots once, and not again until something changes; JUnit and JSON', async (t) => {
  const box = linuxProject(t);
  box.write('services/page/www/index.html', '');
  // The guest's cache outlives a run of the tests, and with it what has passed: this image is one of this run.
  const rc = `#!/bin/sh
# ${randomUUID()}
/bin/busybox --install -s /bin
. /etc/include/linuxrc
mkdir -p /tmp/www; echo '<h1>a page & more</h1>' > /tmp/www/index.html
httpd -h /tmp/www
# What is typed is answered in capitals.
while read -r line; do echo "$line" | tr a-z A-Z; done < /dev/console &
`;
  const checks = (more: string) => `run: {ports: ["18180:80"], ready: {http: /, body: a page}}
test:
  budget: {userland: 50000, ready: 60000}
  checks:
    - {name: the page, http: /, expect: "<h1>a page"}
    - {http: /none, status: 404}
    - {console: shout, expect: SHOUT}
    - {name: from the host, command: 'test -f service.yaml && echo "$URL"', expect: "^http://127"}
${more}`;
  writeService(box, 'page', rc, checks(''));
  const first = await box.smol(['test', 'page', '--arch', 'amd64', '--junit', 'report.xml']);
  exits(t, first, 0);
  t.regex(first.stderr, /✓ page-amd64\n( {2}✓ .*\n){7}/);
  const xml = box.read('report.xml');
  t.regex(xml, /<testsuite name="page-amd64" tests="7" failures="0">/);
  t.regex(xml, /<testcase classname="page-amd64" name="the page" time="\d+\.\d{3}"><\/testcase>/);
  t.regex((await box.smol(['ps', '--all'])).stdout, /^no VM/);

  const second = await box.smol(['test', 'page', '--arch', 'amd64']);
  exits(t, second, 0);
  t.regex(second.stderr, /= page-amd64 has passed as it is: not booted again/);

  // Checks that fail, and are told with what came instead.
  writeService(
    box,
    'page',
    rc,
    checks(`    - {http: /, expect: "another page"}
    - {http: /, status: 500}
    - {console: whisper, expect: whispered, timeout: 1}
    - {command: 'echo oh no >&2; exit 3'}
    - {tcp: 99}
`).replace('ready: 60000', 'ready: 1'),
  );
  const failed = await box.smol(['test', 'page', '--arch', 'amd64', '--json', '--junit', 'report.xml']);
  exits(t, failed, 1);
  const [report] = JSON.parse(failed.stdout) as [Report];
  t.false(report.ok);
  const failures = report.checks.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name}: ${failure}`]));
  t.is(failures.length, 6, failures.join('\n'));
  t.regex(failures[0]!, /^ready within 1 ms: it took \d+ ms, and may take 1$/);
  t.regex(failures[1]!, /^GET \/: it does not match another page:\n<h1>a page & more/);
  t.is(failures[2], 'GET /: the status was 200, not 500');
  t.regex(failures[3]!, /^console: whisper: nothing like \/whispered\/m came within 1 s:\n.*WHISPER/s);
  t.is(failures[4], 'sh: echo oh no >&2; exit 3: it exited with 3:\noh no');
  t.is(failures[5], 'port 99: port 99 of the guest is not forwarded');
  t.true(report.console!.includes('smol: init'));
  t.regex(box.read('report.xml'), /failures="6".*it does not match another page:\n&lt;h1&gt;a page &amp; more/s);
});

test('a service that never answers fails its test; a check that says nothing is refused', async (t) => {
  const box = linuxProject(t);
  writeService(box, 'mute', '#!/bin/sh\n', 'run: {ports: ["18181:80"], ready: {http: /, timeout: 5}}\n');
  const mute = await box.smol(['test', 'mute', '--arch', 'amd64', '--json']);
  exits(t, mute, 1);
  const [report] = JSON.parse(mute.stdout) as [Report];
  t.regex(report.checks[0]!.failure!, /has not answered .* within 5 seconds/);
  writeService(box, 'mute', '#!/bin/sh\n', 'test: {checks: [{expect: x}]}\n');
  t.regex(
    (await box.smol(['test', 'mute'])).stderr,
    /error\[no-check\]: a check has one of http, tcp, console or command\n --> .*:5:/,
  );
});

test('smol bench boot: the clocks of several boots, and what the kernel says of its own time', async (t) => {
  const box = linuxProject(t);
  const rc = '#!/bin/sh\n/bin/busybox --install -s /bin\n. /etc/include/linuxrc\necho it is up\n';
  writeService(box, 'quick', rc, 'run: {ready: {console: it is up}}\n');
  const result = await box.smol(['bench', 'boot', 'quick', '-n', '2', '--arch', 'amd64', '--json']);
  exits(t, result, 0);
  const report = JSON.parse(result.stdout) as {
    accelerator: string;
    host: { qemu: string };
    subjects: { name: string; runs: object[]; clocks: Record<string, { min: number; p50: number; p95: number }> }[];
    trace: string;
  };
  t.regex(report.host.qemu, /^\d+\.\d+/);
  const [{ runs, clocks }] = report.subjects as [(typeof report.subjects)[0]];
  t.is(runs.length, 2);
  t.true(clocks.console!.min > 0 && clocks.console!.min <= clocks.ready!.min);
  t.true(clocks.ready!.min <= clocks.ready!.p50 && clocks.ready!.p50 <= clocks.ready!.p95);
  const { traceEvents } = JSON.parse(readFileSync(report.trace, 'utf8')) as {
    traceEvents: { name: string; ts: number }[];
  };
  t.true(traceEvents.some(({ name }) => name.startsWith('Linux version')));
  t.true(traceEvents.length > 50);
  t.regex((await box.smol(['ps', '--all'])).stdout, /^no VM/);
});
