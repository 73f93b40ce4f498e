import { EMULATORS, type Forward, type Machine } from '../vm/machine.ts';
import type { Ready } from '../vm/ready.ts';

/** What an engine is told of a service: pure data, from which its files are written. */
export interface Deployment {
  readonly service: string;
  /** What tells one version from the next: the first digits of the image's digest, with its kernel. */
  readonly version: string;
  readonly replicas: number;
  /** Where the files are on the hosts. */
  readonly prefix: string;
  /** The names of the files there. */
  readonly files: { readonly image: string; readonly kernel: string; readonly initrd: string | undefined };
  /** What the guest is told, by the names of the files that hold it. */
  readonly vars: Readonly<Record<string, string>>;
  readonly forwards: readonly Forward[];
  readonly ready: Ready;
  /** How long it may take to answer, in seconds. */
  readonly patience: number;
  readonly container: string | undefined;
  /** The machine with the forwards and the folder for its sockets that an instance has. */
  machine(instance: {
    readonly forwards: readonly Forward[];
    readonly runtime: string;
    readonly name: string;
  }): Machine;
}

/** A file to write: its name, its text, and its mode if it is a program. */
export interface DeployedFile {
  readonly name: string;
  readonly text: string;
  readonly mode?: number;
}

/** Where QEMU is on a host with Debian's packages. */
export function emulatorOf({ arch }: Pick<Machine, 'arch'>): string {
  return `/usr/bin/${EMULATORS[arch]}`;
}

/** The names of all that a host needs of a version: image, kernel, initial RAM disk, what the guest is told. */
export function partsOf({ files, vars }: Pick<Deployment, 'files' | 'vars'>): string[] {
  return [files.image, files.kernel, ...(files.initrd ? [files.initrd] : []), ...Object.keys(vars)];
}
