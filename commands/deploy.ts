import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type DeployedFile, type Deployment, partsOf } from '../fleet/deployment.ts';
import { kubernetesFiles } from '../fleet/kubernetes.ts';
import { nomadFiles } from '../fleet/nomad.ts';
import { systemdFiles } from '../fleet/systemd.ts';
import { writeAtomically } from '../host/files.ts';
import { copySparse } from '../host/sparsefile.ts';
import type { Digest } from '../model/artifact.ts';
import { noEmulatorThere, notDeployable } from '../model/problems.ts';
import type { Target } from '../plan/target.ts';
import { READY_SECONDS } from '../vm/ready.ts';
import { forwardsOf, machineOf, varFile, varsOf } from '../vm/runnable.ts';
import { type Built, buildTargets, planTargets, type Strictness } from './build.ts';
import { type Caller, openSession, type Session } from './session.ts';

export type Engine = 'systemd' | 'kubernetes' | 'nomad';

export interface DeployOptions extends Strictness {
  readonly service: string;
  readonly to: Engine;
  readonly arch?: string | undefined;
  /** The folder to write to; by default deploy/<service>-<engine>. */
  readonly output?: string | undefined;
  readonly replicas?: number | undefined;
  /** Where the files will be on the hosts. */
  readonly prefix?: string | undefined;
  /** The name of a container image, for Kubernetes, without its tag. */
  readonly container?: string | undefined;
  readonly accel?: 'kvm' | 'tcg' | undefined;
}

export interface Deployed {
  readonly folder: string;
  readonly files: readonly string[];
  /** What to do next, for people. */
  readonly next: readonly string[];
}

interface Writer {
  /** What an engine's files are, and what to do with them. */
  readonly write: (deployment: Deployment) => { files: DeployedFile[]; next: string[] };
  /** Where the image and the kernel are on its hosts, if nobody says. */
  readonly prefix: string;
}

const WRITERS: Readonly<Record<Engine, Writer>> = {
  systemd: { write: systemdFiles, prefix: '/var/lib/smol' },
  kubernetes: { write: kubernetesFiles, prefix: '/smol' },
  nomad: { write: nomadFiles, prefix: '/opt/smol' },
};

/**
 * Builds a service and writes what an engine of others needs to run it: its files, and the image, the kernel and the initial RAM
 * disk under names made of their digests, so that a new version never touches one that runs. Throws `not-deployable`.
 */
export async function deploy(caller: Caller, options: DeployOptions): Promise<Deployed> {
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, { ...options, services: [options.service] });
    for (const target of targets) assertDeployable(target, options.to);
    const [built] = await buildTargets(session, targets, { ...options, toBoot: true });
    const deployment = await deploymentOf(session, built!, options);
    const { files, next } = WRITERS[options.to].write(deployment);
    const folder = path.resolve(
      caller.folder,
      options.output ?? path.join('deploy', `${options.service}-${options.to}`),
    );
    mkdirSync(folder, { recursive: true });
    for (const { name, text, mode } of files) writeAtomically(path.join(folder, name), text, mode ? { mode } : {});
    for (const [name, value] of Object.entries(deployment.vars)) writeAtomically(path.join(folder, name), value);
    const binaries = await binariesOf(session, built!, deployment);
    for (const [name, from] of binaries) await copySparse(from, path.join(folder, name));
    const names = [...files.map(({ name }) => name), ...partsOf(deployment)];
    return { folder, files: names.sort(), next };
  } finally {
    session.close();
  }
}

/** What of the host an engine cannot give to a VM. */
function assertDeployable({ service, arch, run }: Target, to: Engine): void {
  if (to === 'systemd') return;
  const needs = (['files', 'drives', 'share', 'bridge'] as const).filter((key) => run[key] !== undefined);
  if (needs.length > 0) throw notDeployable(service, to, needs);
  if (to === 'nomad' && arch === 'evbarm-aarch64') throw noEmulatorThere(service, arch, 'its driver');
}

async function deploymentOf(session: Session, built: Built, options: DeployOptions): Promise<Deployment> {
  const { target, image, kernel } = built;
  const version = image.key.slice(0, 12);
  const named = (digest: Digest, kind: string) => `${target.service}-${digest.slice(0, 12)}.${kind}`;
  const files = {
    image: named(image.key, 'img'),
    kernel: named(kernel, 'kernel'),
    initrd: built.initrd && named(built.initrd, 'initrd'),
  };
  const prefix = options.prefix ?? WRITERS[options.to].prefix;
  const bytes = readFileSync(await session.workshop.store.verifiedFile(kernel));
  const ready = target.run.ready ?? {};
  // What the guest is told is in a file of this version.
  const toldIn = (file: string) => `${target.service}-${version}.${path.posix.basename(file)}`;
  const vars = Object.entries(varsOf(target, {})).map(([name, value]) => [toldIn(varFile('', name)), value]);
  const accelerator = options.accel ?? 'kvm';
  return {
    service: target.service,
    version,
    replicas: options.replicas ?? 1,
    prefix,
    files,
    vars: Object.fromEntries(vars) as Record<string, string>,
    forwards: forwardsOf(target, {}),
    ready,
    patience: ready.timeout ?? READY_SECONDS,
    container: options.container ?? session.project.config.value.registry,
    machine: ({ forwards, runtime, name }) => {
      const at = (file: string) => path.posix.join(prefix, file);
      const machine = machineOf(
        target,
        {},
        {
          name,
          accelerator,
          kernel: { file: at(files.kernel), bytes },
          initrd: files.initrd && at(files.initrd),
          image: at(files.image),
          disk: { file: at(files.image), format: 'raw', snapshot: true },
          runtime,
          consoleLog: '',
        },
      );
      const firmware = machine.firmware.map(({ name: key, file }) => ({
        name: key,
        file: file.startsWith(`${runtime}/`) ? at(toldIn(file)) : file,
      }));
      return { ...machine, forwards, firmware, stdio: true };
    },
  };
}

/** What is copied beside the files: the names there, and where the bytes are here. */
async function binariesOf(
  session: Session,
  { target, kernel, initrd }: Built,
  { files }: Deployment,
): Promise<[string, string][]> {
  const { store } = session.workshop;
  return [
    [files.image, target.image],
    [files.kernel, await store.verifiedFile(kernel)],
    ...(initrd === undefined ? [] : [[files.initrd!, await store.verifiedFile(initrd)] as [string, string]]),
  ];
}
