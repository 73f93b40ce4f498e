import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { parseAllDocuments } from 'yaml';
import { packageRoot } from '../../host/paths.ts';
import { freePort } from '../../host/ports.ts';
import { linuxProject } from '../rig/debian.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

const requireHere = createRequire(path.join(packageRoot(), 'package.json'));

/** A project with `web`, which is `hello` on a port of the test's own. */
async function project(
  t: ExecutionContext,
  more: Record<string, unknown> = {},
): Promise<{ box: Sandbox; port: number }> {
  const box = linuxProject(t);
  cpSync(path.join(packageRoot(), 'services/hello'), box.path('services/web'), { recursive: true });
  const port = await freePort('tcp');
  const yaml = box.read('services/web/service.yaml').replace(/"8080:80"/, `"${port}:80"`);
  box.write(
    'services/web/service.yaml',
    yaml.replace(
      'run:\n',
      `run:\n${Object.entries(more)
        .map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`)
        .join('')}`,
    ),
  );
  t.true(yaml.includes(`${port}:80`));
  return { box, port };
}

async function deploy(t: ExecutionContext, box: Sandbox, to: string, ...more: string[]): Promise<string> {
  const folder = box.path('out');
  const result = await box.smol(['deploy', 'web', '--to', to, '--accel', 'tcg', '--output', 'out', ...more]);
  exits(t, result, 0);
  for (const [, name] of result.stdout.matchAll(/^wrote out\/(.*)$/gm))
    t.true(existsSync(path.join(folder, name!)), name);
  return folder;
}

/** Runs QEMU as somebody else's engine would, until the test ends. */
function start(t: ExecutionContext, [program = '', ...args]: readonly string[]): { output: () => string } {
  let output = '';
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  return { output: () => output };
}

async function answers(t: ExecutionContext, port: number, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await setTimeout(200)) {
    const status = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) }).then(
      (found) => found.status,
      () => 0,
    );
    if (status === 200) {
      t.pass();
      return;
    }
  }
  t.fail(`no answer on ${port}: ${output()}`);
}

/** A command line of a unit as systemd splits it. */
function words(unit: string, key: string): string[] {
  const line = new RegExp(`^${key}=(.*)$`, 'm').exec(unit)![1]!;
  const found = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)];
  return found.map(([, quoted, plain]) =>
    (quoted?.replaceAll(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter)) ?? plain!)
      .replaceAll('$$', '$')
      .replaceAll('%%', '%'),
  );
}

test.serial('units of systemd: verified, hardened, and their commands boot it and wait for it', async (t) => {
  const { box, port } = await project(t, { vars: { GREETING: 'a "b" $c %d' } });
  const folder = await deploy(t, box, 'systemd', '--replicas', '3', '--prefix', box.path('out'));
  const units = readdirSync(folder).filter((name) => name.endsWith('.service'));
  t.is(units.length, 3);
  const at = units.map((name) => path.join(folder, name));
  const said = execFileSync('systemd-analyze', ['verify', ...at, path.join(folder, 'smol-web.target')], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
  t.is(said, '');
  // 0 is as safe as can be, 100 not at all.
  execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', ...at], { stdio: 'pipe' });
  t.notThrows(() => execFileSync('sh', ['-n', path.join(folder, 'apply.sh')]));
  const unit = readFileSync(path.join(folder, 'smol-web-2.service'), 'utf8');
  t.true(unit.includes(`hostfwd=tcp:127.0.0.1:${port + 1}-:80`), 'each replica has ports of its own');
  const command = words(unit, 'ExecStart').map((word) => word.replace('/run/smol-web-2', box.path('out')));
  const { output } = start(t, command);
  execFileSync(words(unit, 'ExecStartPost')[0]!, words(unit, 'ExecStartPost').slice(1), { timeout: 60_000 });
  await answers(t, port + 1, output);

  // Another version has other files.
  const image = readdirSync(folder).find((name) => name.endsWith('.img'))!;
  box.write('services/web/root/www/new.html', 'new');
  await deploy(t, box, 'systemd', '--prefix', box.path('out'));
  t.is(readdirSync(folder).filter((name) => name.endsWith('.img') && name !== image).length, 1);
});

test.serial('manifests of Kubernetes are what its schemas want, and the entry point boots it', async (t) => {
  const { box, port } = await project(t);
  const folder = await deploy(
    t,
    box,
    'kubernetes',
    '--replicas',
    '2',
    '--prefix',
    box.path('out'),
    '--container',
    'registry.example.org/team',
  );
  const [deployment, service] = parseAllDocuments(readFileSync(path.join(folder, 'web.yaml'), 'utf8')).map((each) =>
    each.toJSON(),
  );
  const { Deployment } = (await import('kubernetes-models/apps/v1')) as unknown as Models;
  const { Service } = (await import('kubernetes-models/v1')) as unknown as Models;
  t.notThrows(() => new Deployment!(deployment).validate());
  t.notThrows(() => new Service!(service).validate());
  t.throws(() => new Deployment!({ ...deployment, spec: { replicas: 'two' } }).validate());
  const [container] = deployment.spec.template.spec.containers;
  t.regex(container.image, /^registry\.example\.org\/team\/web-vm:[0-9a-f]{12}$/);
  const docker = readFileSync(path.join(folder, 'Dockerfile'), 'utf8');
  const copied = /^COPY (.*) \S+$/m.exec(docker)![1]!.split(' ');
  for (const name of copied) t.true(existsSync(path.join(folder, name)), name);
  const entry = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(docker)![1]!) as string[];
  const { output } = start(
    t,
    entry.map((word) => word.replace('unix:/tmp/qmp', `unix:${box.path('qmp')}`)),
  );
  await answers(t, port, output);

  const kvm = await box.smol(['deploy', 'web', '--to', 'kubernetes', '--output', 'kvm']);
  exits(t, kvm, 0);
  t.regex(box.read('kvm/web.yaml'), /squat\.ai\/kvm: 1/);
});

interface Models {
  readonly [name: string]: new (value: object) => { validate(): void };
}

test.serial('a job of Nomad, and what its qemu driver makes of it, boots', async (t) => {
  const { box } = await project(t);
  const folder = await deploy(t, box, 'nomad', '--prefix', box.path('out'));
  const text = readFileSync(path.join(folder, 'web.nomad.hcl'), 'utf8');
  const hcl = requireHere('hcl2-parser') as { parseToObject(text: string): [Record<string, unknown>, unknown] };
  const [parsed, error] = hcl.parseToObject(text);
  t.falsy(error);
  const job = (parsed.job as Record<string, Job[]>).web![0]!;
  const { config, driver, resources } = job.group.web![0]!.task.web![0]!;
  t.is(driver, 'qemu');
  const [{ image_path, accelerator, args }] = config as [{ image_path: string; accelerator: string; args: string[] }];
  const port = await freePort('tcp');
  // As drivers/qemu/driver.go puts its command line together.
  const command = [
    ...['qemu-system-x86_64', '-machine', `type=pc,accel=${accelerator}`, '-name', path.basename(image_path)],
    ...['-m', `${resources[0]!.memory}M`, '-drive', `file=${image_path}`, '-nographic'],
    ...args.map((each) => each.replaceAll(/\$\{NOMAD_PORT_tcp_80\}/g, String(port))),
  ];
  const { output } = start(t, command);
  await answers(t, port, output);
});

interface Job {
  readonly group: {
    web?: { task: { web?: { driver: string; config: unknown; resources: { memory: number }[] }[] } }[];
  };
}

test('what an engine cannot give to a VM is said before anything is built', async (t) => {
  const { box } = await project(t, { files: { key: 'key' } });
  const refused = await box.smol(['deploy', 'web', '--to', 'kubernetes']);
  exits(t, refused, 2);
  t.regex(refused.stderr, /web cannot be deployed to kubernetes: it needs files of the host/);
  exits(t, await box.smol(['deploy', 'web', '--to', 'swarm']), 2);
  exits(t, await box.smol(['deploy', 'web']), 2);
  exits(t, await box.smol(['deploy', 'web', '--to', 'systemd', '--prefix', 'a b']), 2);
  t.regex((await box.smol(['deploy', 'web', '--to', 'systemd', '--arch', 'all'])).stderr, /one architecture/);
  const arm = new Sandbox(t);
  arm.write('smol.config.yaml', 'release: debian\n');
  const nomad = await arm.smol(['deploy', 'hello', '--to', 'nomad', '--arch', 'aarch64']);
  t.regex(nomad.stderr, /is for evbarm-aarch64, and its driver starts qemu-system-x86_64 alone/);
});
