import os from 'node:os';
import path from 'node:path';
import { hasPvhEntry, isElf } from '../formats/elf.ts';
import type { Arch } from '../model/arch.ts';
import type { Build, Release, Service } from '../model/manifest.ts';
import * as problems from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
import { tscKhz } from './accelerator.ts';
import { GUESTS } from './guests.ts';
import { type Accelerator, type Disk, type Forward, type Line, type Machine, parseForward } from './machine.ts';

type Settings = NonNullable<Service['run']>;

/** What a user asked for on the command line, over what the service says; paths relative to the working directory. */
export interface RunWishes extends Partial<Omit<Settings, 'ready'>> {
  /** A new pseudo-terminal of the host with one more console. */
  readonly pty?: boolean | undefined;
}

/** What can be run: a target, or an image and a kernel that somebody named. */
export interface Runnable {
  readonly name: string;
  readonly arch: Arch;
  readonly guest: Release['guest'];
  /** What paths of `run` are relative to. */
  readonly folder: string;
  readonly run: Settings;
  readonly kernel: { readonly name: string; readonly build: Build };
  /** The name of the root partition; undefined if the image has none. */
  readonly partition: string | undefined;
}

/** What only the host and this start of the VM know. */
export interface Circumstances {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly kernel: { readonly file: string; readonly bytes: Buffer };
  readonly initrd: string | undefined;
  /** The image, for a machine that has it in memory, in place of a disk. */
  readonly image?: string | undefined;
  /** The disk with the root; undefined if there is none. */
  readonly disk: Pick<Disk, 'file' | 'format' | 'snapshot'> | undefined;
  /** The folder for the sockets, and for the files that hold what the guest is told. */
  readonly runtime: string;
  readonly consoleLog: string;
}

const DEFAULT_MEMORY = '256M';
/** What a virtio block device has room for (virtio 1.2, section 5.2.6: VIRTIO_BLK_T_GET_ID). */
const SERIAL_LIMIT = 20;

/** The service's settings with a user's wishes over them; what is told by name is merged. */
function settingsOf({ run }: Runnable, wishes: RunWishes): RunWishes {
  const wished = Object.fromEntries(Object.entries(wishes).filter(([, value]) => value !== undefined));
  return { ...run, ...wished, vars: { ...run.vars, ...wishes.vars } };
}

/** The forwards of a VM: those asked for, or else the service's. Without a network there are none. */
export function forwardsOf(runnable: Runnable, wishes: RunWishes): Forward[] {
  const { network, ports = [] } = settingsOf(runnable, wishes);
  return network === 'none' ? [] : ports.map(parseForward);
}

/** The machine that runs something. Throws `no-pvh` and `no-share`. */
export function machineOf(runnable: Runnable, wishes: RunWishes, on: Circumstances): Machine {
  const { build, name: kernelName } = runnable.kernel;
  const guest = GUESTS[runnable.guest];
  const run = settingsOf(runnable, wishes);
  const isMicrovm = build.machine.startsWith('microvm');
  // A kernel that is no ELF file, such as Linux's bzImage, brings its own loader.
  if (isMicrovm && isElf(on.kernel.bytes) && !hasPvhEntry(on.kernel.bytes)) throw problems.noPvh(kernelName);
  const viocon = (build.features?.includes('viocon') ?? false) && on.kernel.bytes.includes('viocon_earlyinit');
  if (run.share !== undefined && !build.features?.includes('9p')) throw problems.noShare(kernelName);
  const inMemory = run.imageAsInitrd ? on.image : undefined;
  const partition = inMemory === undefined ? runnable.partition : undefined;
  const disk = inMemory === undefined ? on.disk : undefined;
  const tcg = on.accelerator === 'tcg';
  const append = [
    guest.console(runnable.arch, viocon),
    run.root !== undefined ? `root=${run.root}` : partition && guest.root(partition),
    build.append,
    tcg ? build.appendTcg?.replaceAll('{tscKhz}', String(tscKhz())) : undefined,
    runnable.run.append,
    wishes.append,
  ];
  const serial = (partition ?? runnable.name).slice(0, SERIAL_LIMIT);
  return {
    name: on.name,
    arch: runnable.arch,
    type: build.machine,
    accelerator: on.accelerator,
    cpu: tcg ? (build.cpu ?? 'max') : 'host',
    cpus: run.cpus ?? 1,
    memory: parseSize(run.memory ?? DEFAULT_MEMORY) / 1024 ** 2,
    kernel: on.kernel.file,
    initrd: inMemory ?? on.initrd,
    append: append.filter((part) => part !== undefined && part !== '').join(' '),
    disks: [...(disk === undefined ? [] : [{ ...disk, serial, shared: run.shareRw }]), ...drivesOf(runnable, wishes)],
    network: run.network ?? 'user',
    forwards: forwardsOf(runnable, wishes),
    bridge: run.bridge,
    share: run.share === undefined ? undefined : path.resolve(baseOf(runnable, wishes.share), run.share),
    firmware: [
      ...Object.keys(run.vars ?? {}).map((name) => ({
        name: `opt/org.smolbsd.var.${name}`,
        file: varFile(on.runtime, name),
      })),
      ...filesOf(runnable, wishes).map(({ name, file }) => ({ name: `opt/org.smolbsd.file.${name}`, file })),
    ],
    console: viocon ? 'viocon' : 'serial',
    consoleSocket: path.join(on.runtime, 'console'),
    qmpSocket: path.join(on.runtime, 'qmp'),
    consoleLog: on.consoleLog,
    lines: linesOf(run, on.runtime),
    extra: run.extra ?? [],
  };
}

/** The disks besides the root, in order; who finds them by serial finds `drive1` and on. */
export function drivesOf(runnable: Runnable, wishes: RunWishes): Disk[] {
  const { drives = [] } = settingsOf(runnable, wishes);
  return drives.map((drive, n) => ({
    file: path.resolve(baseOf(runnable, wishes.drives), drive),
    format: drive.endsWith('.qcow2') ? 'qcow2' : 'raw',
    serial: `drive${n + 1}`,
  }));
}

/** The variables that the guest is told. */
export function varsOf(runnable: Runnable, wishes: RunWishes): Readonly<Record<string, string>> {
  return settingsOf(runnable, wishes).vars ?? {};
}

/** Where the value of a variable is kept for QEMU: a command line is open to all users of the host. */
export function varFile(runtime: string, name: string): string {
  return path.join(runtime, `var.${name}`);
}

/** The files that the guest is told, with absolute paths. */
export function filesOf(runnable: Runnable, wishes: RunWishes): { name: string; file: string }[] {
  const absolute = (base: string, files: Readonly<Record<string, string>> = {}) =>
    Object.entries(files).map(([name, file]): [string, string] => [
      name,
      path.resolve(base, file.replace(/^~(?=\/)/, os.homedir())),
    ]);
  const files = new Map([...absolute(runnable.folder, runnable.run.files), ...absolute('.', wishes.files)]);
  return [...files].map(([name, file]) => ({ name, file }));
}

/** What a path is relative to: one that was wished to the working directory, one of the service to its folder. */
function baseOf({ folder }: Runnable, wish: unknown): string {
  return wish === undefined ? folder : '.';
}

function linesOf({ consoles = 0, serial, pty }: RunWishes, runtime: string): Line[] {
  const [port, address = '127.0.0.1'] = serial?.split(':').reverse() ?? [];
  return [
    ...Array.from(
      { length: consoles },
      (_, n): Line => ({ kind: 'socket', path: path.join(runtime, `console${n + 1}`) }),
    ),
    ...(port === undefined ? [] : [{ kind: 'telnet', address, port: Number(port) } as const]),
    ...(pty ? [{ kind: 'pty' } as const] : []),
  ];
}
