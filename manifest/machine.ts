import validators from 'smol:validators';
import { type Arch, archNamed } from '../model/arch.ts';
import type { Build, Kernel, Service } from '../model/manifest.ts';

/** What a registry keeps of how an image is run: the configuration of its manifest, `application/vnd.smol.machine.v1+json`. */
export interface MachineConfig {
  readonly version: 1;
  readonly service: string;
  readonly arch: Arch;
  readonly guest: Kernel['guest'];
  /** The name of the root partition. */
  readonly partition: string;
  readonly kernel: { readonly name: string; readonly build: Build };
  readonly run: Portable;
}

/** What of `run:` is the same on every host, and can do nothing to one: no file, no folder, no argument for QEMU. */
const PORTABLE = [
  ...(['memory', 'cpus', 'ports', 'vars', 'root', 'consoles', 'network', 'imageAsInitrd', 'append', 'ready'] as const),
] as const;
type Portable = Pick<NonNullable<Service['run']>, (typeof PORTABLE)[number]>;

/** QEMU's -machine and -cpu as an image from elsewhere may set them: names and switches, no file. */
const MACHINE = /^[a-z0-9.-]+(,[a-z0-9-]+=(on|off|host|\d+))*$/;
const CPU = /^[A-Za-z0-9_.-]+(,[+-]?[a-z0-9_.-]+)*$/;

/** How something is run, as a registry keeps it. */
export function machineConfig(given: Omit<MachineConfig, 'version' | 'run'> & { run: Service['run'] }): MachineConfig {
  const { service, arch, guest, partition, kernel, run } = given;
  const { source, machine, cpu, append, appendTcg, features } = kernel.build;
  const build = { source, machine, cpu, append, appendTcg, features } as Build;
  return {
    version: 1,
    service,
    arch,
    guest,
    partition,
    kernel: { name: kernel.name, build },
    run: portable(run ?? {}),
  };
}

/**
 * The configuration that a text from a registry is, or undefined. Whoever wrote it cannot reach more of this host than its
 * memory and ports of 127.0.0.1: all else is left out.
 */
export function parseMachineConfig(text: string): MachineConfig | undefined {
  try {
    const { version, service, arch, guest, partition, kernel, run } = JSON.parse(text) as MachineConfig;
    const { name, build } = kernel;
    const known = archNamed(arch);
    const isRight =
      version === 1 &&
      known !== undefined &&
      /^[\w.-]{1,63}$/.test(service) &&
      [partition, name].every((each) => typeof each === 'string') &&
      MACHINE.test(build.machine) &&
      CPU.test(build.cpu ?? 'max') &&
      validators.kernel({ description: service, guest, archs: { [known]: build } }) &&
      validators.service({ description: service, run });
    if (!isRight) return undefined;
    const ports = run.ports?.map((port) => port.replace(/^(\d+\.){3}\d+:/, ''));
    const own = portable({ ...run, ...(ports && { ports }) });
    return { version, service, arch: known, guest, partition, kernel: { name, build }, run: own };
  } catch {
    return undefined;
  }
}

function portable(run: NonNullable<Service['run']>): Portable {
  return Object.fromEntries(PORTABLE.flatMap((key) => (run[key] === undefined ? [] : [[key, run[key]]])));
}
