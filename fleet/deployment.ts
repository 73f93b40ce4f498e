import type { Service } from '../model/manifest.ts';
import { EMULATORS, type Forward, type Machine } from '../vm/machine.ts';

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
  readonly ready: NonNullable<NonNullable<Service['run']>['ready']>;
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

/** The forward whose guest is to be asked whether it is up; undefined if it has no TCP port. */
export function askedOf(forwards: readonly Forward[], { port }: Deployment['ready']): Forward | undefined {
  return forwards.find(({ protocol, guest }) => protocol === 'tcp' && (port === undefined || guest === port));
}
