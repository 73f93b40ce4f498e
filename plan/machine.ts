import os from 'node:os';
import path from 'node:path';
import { hasPvhEntry, isElf } from '../formats/elf.ts';
import * as problems from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
import { tscKhz } from '../vm/accelerator.ts';
import { type Accelerator, type Forward, type Machine, parseForward } from '../vm/machine.ts';
import { GUESTS } from './guests.ts';
import type { Target } from './target.ts';

/** What a user asked for on the command line, over what the service says. */
export interface RunWishes {
  readonly memory?: string | undefined;
  readonly cpus?: number | undefined;
  readonly ports?: readonly string[] | undefined;
  readonly append?: string | undefined;
  readonly share?: string | undefined;
  /** For the guest's environment, by name. */
  readonly vars?: Readonly<Record<string, string>> | undefined;
  /** Files of the host for the guest, by name. */
  readonly files?: Readonly<Record<string, string>> | undefined;
}

/** What only the host and this start of the VM know. */
export interface Circumstances {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly kernel: { readonly file: string; readonly bytes: Buffer };
  readonly initrd: string | undefined;
  readonly disk: Machine['disks'][number];
  /** The folder for the sockets, and for the files that hold what the guest is told. */
  readonly runtime: string;
  readonly consoleLog: string;
}

const DEFAULT_MEMORY = '256M';

/** The forwards of a VM: those asked for, or else the service's. */
export function forwardsOf(target: Target, wishes: RunWishes): Forward[] {
  return (wishes.ports ?? target.run.ports ?? []).map(parseForward);
}

/** The variables that the guest is told. */
export function varsOf(target: Target, wishes: RunWishes): Readonly<Record<string, string>> {
  return { ...target.run.vars, ...wishes.vars };
}

/** Where the value of a variable is kept for QEMU: a command line is open to all users of the host. */
export function varFile(runtime: string, name: string): string {
  return path.join(runtime, `var.${name}`);
}

/** The files that the guest is told, with absolute paths: of the service relative to its folder, of a wish to the caller's. */
export function filesOf(target: Target, wishes: RunWishes): { name: string; file: string }[] {
  const absolute = (base: string, files: Readonly<Record<string, string>> = {}) =>
    Object.entries(files).map(([name, file]): [string, string] => [
      name,
      path.resolve(base, file.replace(/^~(?=\/)/, os.homedir())),
    ]);
  const files = new Map([...absolute(target.folder, target.run.files), ...absolute('.', wishes.files)]);
  return [...files].map(([name, file]) => ({ name, file }));
}

/** The machine that runs a target. Throws `no-pvh` and `no-share`. */
export function machineOf(target: Target, wishes: RunWishes, on: Circumstances): Machine {
  const { build, name: kernelName } = target.kernel;
  const guest = GUESTS[target.guest];
  const isMicrovm = build.machine.startsWith('microvm');
  // A kernel that is no ELF file, such as Linux's bzImage, brings its own loader.
  if (isMicrovm && isElf(on.kernel.bytes) && !hasPvhEntry(on.kernel.bytes)) throw problems.noPvh(kernelName);
  const viocon = (build.features?.includes('viocon') ?? false) && on.kernel.bytes.includes('viocon_earlyinit');
  const wanted = wishes.share ?? target.run.share;
  if (wanted !== undefined && !build.features?.includes('9p')) throw problems.noShare(kernelName);
  const tcg = on.accelerator === 'tcg';
  const append = [
    guest.console(target.arch, viocon),
    guest.root(target.partition),
    build.append,
    tcg ? build.appendTcg?.replaceAll('{tscKhz}', String(tscKhz())) : undefined,
    target.run.append,
    wishes.append,
  ];
  return {
    name: on.name,
    arch: target.arch,
    type: build.machine,
    accelerator: on.accelerator,
    cpu: tcg ? (build.cpu ?? 'max') : 'host',
    cpus: wishes.cpus ?? target.run.cpus ?? 1,
    memory: parseSize(wishes.memory ?? target.run.memory ?? DEFAULT_MEMORY) / 1024 ** 2,
    kernel: on.kernel.file,
    initrd: on.initrd,
    append: append.filter((part) => part !== undefined && part !== '').join(' '),
    disks: [on.disk],
    forwards: forwardsOf(target, wishes),
    share: wanted === undefined ? undefined : path.resolve(wishes.share === undefined ? target.folder : '.', wanted),
    firmware: [
      ...Object.keys(varsOf(target, wishes)).map((name) => ({
        name: `opt/org.smolbsd.var.${name}`,
        file: varFile(on.runtime, name),
      })),
      ...filesOf(target, wishes).map(({ name, file }) => ({ name: `opt/org.smolbsd.file.${name}`, file })),
    ],
    console: viocon ? 'viocon' : 'serial',
    consoleSocket: path.join(on.runtime, 'console'),
    qmpSocket: path.join(on.runtime, 'qmp'),
    consoleLog: on.consoleLog,
  };
}
