import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { Mirror } from '../rig/mirror.ts';
import { Nginx } from '../rig/nginx.ts';
import { exits, type Result, ranSteps, Sandbox } from '../rig/sandbox.ts';
import { noSlurm, Slurm } from '../rig/slurm.ts';

const SRUN =
  "[srun, --ntasks=1, '--cpus-per-task={cpus}', '--mem={memory}', '--job-name={name}', --quiet, '{command}']";

/** A project of services that differ in one file and a script, and all have an image. */
async function project(
  t: ExecutionContext,
  config: string,
  names: readonly string[],
  mirrors?: string,
): Promise<Sandbox> {
  const box = new Sandbox(t);
  const found = mirrors ?? (await (await Mirror.start(t)).serveNetbsd());
  box.write('smol.config.yaml', `${found}${config}`);
  for (const name of names) {
    box.write(
      `services/${name}/service.yaml`,
      `description: x\nsets: [rescue, etc]\nsize: 4M\nlinks: {/bin/sh: /rescue/sh}\n`,
    );
    box.write(`services/${name}/etc/rc`, `#!/bin/sh\necho ${name}\n`);
    box.write(`services/${name}/postinst/one.sh`, `echo made > etc/made-${name}; sleep 0.2\n`);
  }
  return box;
}

function build(
  box: Sandbox,
  names: readonly string[],
  env: Record<string, string> = {},
  watch?: () => void,
): Promise<Result> {
  return box.smol(['build', ...names, '--arch', 'i386', '--json'], { env, ...(watch && { watch }) });
}

function digests(box: Sandbox, names: readonly string[]): string[] {
  return names.map((name) => sha256(readFileSync(box.path(`images/${name}-i386.img`))));
}

(noSlurm === undefined ? test : test.skip)(
  '30 images on a Slurm of three nodes, one of which dies half way, are those of a local build',
  async (t) => {
    const names = Array.from({ length: 30 }, (_, n) => `service${n}`);
    const mirrors = await (await Mirror.start(t)).serveNetbsd();
    const slurm = await Slurm.start(t, 3);
    const box = await project(t, `executor: {command: ${SRUN}, slots: 6}\n`, names, mirrors);
    let finished = 0;
    let killed = false;
    const result = await build(box, names, slurm.env, () => {
      finished++;
      if (finished < 40 || killed) return;
      killed = true;
      slurm.kill('n2');
    });
    exits(t, result, 0);
    t.true(killed);
    const logs = result.events.filter(({ type }) => type === 'step-log').map(({ line }) => String(line));
    t.log(logs.filter((line) => line.includes('was lost')).length, 'jobs were lost');

    const local = await project(t, '', names, mirrors);
    local.write('smol.lock.yaml', box.read('smol.lock.yaml'));
    const alone = await build(local, names);
    exits(t, alone, 0);
    t.deepEqual(digests(box, names), digests(local, names));
    const steps = (from: Sandbox, each: Result) => ranSteps(each).map((name) => name.replace(from.folder, ''));
    t.deepEqual(steps(box, result), steps(local, alone));
    t.deepEqual(ranSteps(await build(box, names, slurm.env)), []);
  },
);

/** An engine of one line, which runs what it is given as it is, or not. */
function engine(box: Sandbox, script: string): string {
  return `executor: {command: [${box.write('engine.sh', `#!/bin/sh\n${script}\n`, 0o755)}, '{kind}', '{command}'], retries: 1}\n`;
}

test.serial('what was lost is given again, what failed is not, and both are told apart', async (t) => {
  const mirrors = await (await Mirror.start(t)).serveNetbsd();
  const with_ = async (script: string) => {
    const box = await project(t, '', ['a'], mirrors);
    box.write('smol.config.yaml', mirrors + engine(box, script));
    return box;
  };
  // The first job of each kind is lost without a word of its own.
  const flaky = await with_(
    'kind=$1; shift; if mkdir lost-$kind 2>/dev/null; then echo node failure; exit 9; fi; exec "$@"',
  );
  const mended = await build(flaky, ['a']);
  exits(t, mended, 0);
  const lost = mended.events.filter(({ line }) => String(line).includes('the job was lost (exit code 9)'));
  t.is(lost.length, 3, 'unpack, script and image');

  const dead = await with_('echo no node is left; exit 1');
  const failed = await dead.smol(['build', 'a', '--arch', 'i386']);
  exits(t, failed, 3);
  t.regex(failed.stderr, /engine\.sh could not run unpack .*: it exits with 1/);
  t.regex(failed.stderr, /no node is left/);

  const broken = await with_('shift; echo x >> calls; exec "$@"');
  broken.write('services/a/postinst/one.sh', 'echo it goes wrong; exit 3\n');
  const wrong = await broken.smol(['build', 'a', '--arch', 'i386']);
  exits(t, wrong, 1);
  t.regex(wrong.stderr, /one\.sh .*3/);
  t.regex(wrong.stderr, /it goes wrong/);
  t.is(broken.read('calls').trim().split('\n').length, 3, 'two sets, and the script once');

  const elsewhere = await with_('shift; SMOL_CACHE=$PWD/other exec "$@"');
  const alone = await elsewhere.smol(['build', 'a', '--arch', 'i386']);
  t.regex(alone.stderr, /no step with the key .* was given to others to run/);

  // Hosts that leave the image elsewhere: an older one that is in place is not taken for it.
  const scattered = await project(t, '', ['a'], mirrors);
  exits(t, await build(scattered, ['a']), 0);
  const old = digests(scattered, ['a']);
  scattered.write('services/a/etc/motd', 'new\n');
  const moves =
    'kind=$1; shift; [ $kind = image ] || exec "$@"; "$@"; status=$?; rm images/.smol-scratch*/published; exit $status';
  scattered.write('smol.config.yaml', mirrors + engine(scattered, moves));
  const misled = await scattered.smol(['build', 'a', '--arch', 'i386']);
  exits(t, misled, 3);
  t.regex(misled.stderr, /nothing of it is in the cache here/);
  scattered.write('smol.config.yaml', mirrors);
  exits(t, await build(scattered, ['a']), 0);
  t.notDeepEqual(digests(scattered, ['a']), old);

  const none = await project(t, "executor: {command: [no-such-engine, '{command}']}\n", ['a'], mirrors);
  t.regex(
    (await none.smol(['build', 'a', '--arch', 'i386'])).stderr,
    /no-such-engine, which executor: .* is not on this host/,
  );
  none.write('smol.config.yaml', `${mirrors}executor: {command: [srun, x]}\n`);
  exits(t, await none.smol(['build', 'a']), 2);
});

test.serial('hosts that share no directory work by way of the remote cache', async (t) => {
  const nginx = await Nginx.start(t);
  const mirrors = await (await Mirror.start(t)).serveNetbsd();
  const remote = `cache: {remote: {url: ${nginx.url}, trust: anyone, mode: readwrite}}\n`;
  const box = await project(t, '', ['a'], mirrors);
  const worker = engine(box, 'shift; SMOL_CACHE=$PWD/worker exec "$@"').replace(
    'retries',
    'kinds: [unpack, script], retries',
  );
  box.write('smol.config.yaml', mirrors + remote + worker);
  const result = await build(box, ['a']);
  exits(t, result, 0);
  const local = await project(t, '', ['a'], mirrors);
  local.write('smol.lock.yaml', box.read('smol.lock.yaml'));
  await build(local, ['a']);
  t.deepEqual(digests(box, ['a']), digests(local, ['a']));
});

test.serial('a step is run by its key alone, and only as it was meant', async (t) => {
  const box = await project(t, '', ['a']);
  box.write('smol.config.yaml', box.read('smol.config.yaml') + engine(box, 'shift; echo "$3" >> keys; exec "$@"'));
  exits(t, await build(box, ['a']), 0);
  const graph = JSON.parse((await box.smol(['graph', 'a', '--arch', 'i386', '--json'])).stdout);
  const unpack = graph.steps.find(({ kind }: { kind: string }) => kind === 'unpack');
  const again = await box.smol(['step', 'run', unpack.key]);
  t.regex(again.stdout, /^tree [0-9a-f]{64}\n$/, again.stderr);
  const unknown = await box.smol(['step', 'run', 'a'.repeat(64)]);
  exits(t, unknown, 2);
  t.regex(unknown.stderr, /no step with the key a{64}/);
  exits(t, await box.smol(['step', 'run', 'abc']), 2);
});

test.serial('a build that is interrupted ends the jobs that it gave away', async (t) => {
  const box = await project(t, '', ['a']);
  const config = box.read('smol.config.yaml');
  box.write(
    'smol.config.yaml',
    config + engine(box, 'trap "echo ended > ended; exit 1" TERM; echo begun > begun; sleep 60 & wait'),
  );
  const running = box.start(t, ['build', 'a', '--arch', 'i386', '--json']);
  await running.until(/"step-started","step":"unpack/);
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(1000);
  running.signal('SIGINT');
  t.is(await running.ended, 130);
  t.is(box.read('ended'), 'ended\n');
});
