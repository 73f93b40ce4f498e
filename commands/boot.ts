import { constants, existsSync, rmSync } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isHeld, makeDirectory } from '../host/files.ts';
import { cacheRoot } from '../host/paths.ts';
import { whyNotFree } from '../host/ports.ts';
import type { Json } from '../model/json.ts';
import * as problems from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
import { type Choice, chooseAccelerator } from '../vm/accelerator.ts';
import { GUESTS } from '../vm/guests.ts';
import { killNow, makeOverlay, makeRuntimeFolder, RunningVm, stopVm } from '../vm/launch.ts';
import type { Accelerator, Forward, Machine } from '../vm/machine.ts';
import { DISK, type Registry, type VmRecord } from '../vm/registry.ts';
import { drivesOf, filesOf, machineOf, type Runnable, type RunWishes, varFile, varsOf } from '../vm/runnable.ts';
import type { Bootable } from './bootable.ts';
import { pageOf, untilReady } from './readiness.ts';
import type { Caller } from './session.ts';

export interface BootOptions extends RunWishes {
  /** Return when the service answers, and leave the VM running. */
  readonly detach?: boolean | undefined;
  /** Keep the VM, with its disk, when it stops; one that is left running is kept too. */
  readonly keep?: boolean | undefined;
  /** Begin anew, with a disk that has nothing of what was written before. */
  readonly fresh?: boolean | undefined;
  /** Go on with a disk over an image that was built anew since. */
  readonly resume?: boolean | undefined;
  /** How much larger than the image a new disk is: `4G`. */
  readonly grow?: string | undefined;
  /** Write to the image itself. */
  readonly direct?: boolean | undefined;
  /** End it without its power button. */
  readonly abruptly?: boolean | undefined;
  /** The accelerator to use, whatever a probe finds. */
  readonly accel?: Accelerator | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
  /** What to do once the service answers, in place of staying until the VM ends. */
  readonly during?: ((vm: RunningVm, forwards: readonly Forward[], signal: AbortSignal) => Promise<void>) | undefined;
  /** What is typed on the guest's console. */
  readonly input?: NodeJS.ReadableStream | undefined;
}

/** Throws `missing-file` for a file that the guest is to have, or a disk, that cannot be read. */
export async function assertReadable(runnable: Runnable, wishes: RunWishes): Promise<void> {
  const drives = drivesOf(runnable, wishes).map(({ file, serial: name }) => ({ name, file }));
  for (const { name, file } of [...filesOf(runnable, wishes), ...drives]) {
    await access(file, constants.R_OK).catch(() => {
      throw problems.unreadableFile(name, file);
    });
  }
}

/** Throws `vm-running` and `port-busy` while it costs nothing. */
export async function assertStartable(registry: Registry, name: string, forwards: readonly Forward[]): Promise<void> {
  const running = registry.running();
  const same = running.find((vm) => vm.name === name);
  if (same !== undefined) throw problems.vmRunning(name, same.pid);
  for (const { protocol, address, host, guest } of forwards) {
    const why = portError(host, guest) ?? (await whyNotFree(protocol, address, host));
    if (why === undefined) continue;
    if (why !== 'EADDRINUSE') throw problems.badAddress(`${address}:${host}:${guest}`, why);
    const other = running.find((vm) =>
      vm.forwards.some((forward) => forward.host === host && forward.protocol === protocol),
    );
    throw problems.portBusy(address, host, other?.name);
  }
}

/** What is wrong with the numbers of a forward, whatever the host has. */
function portError(...ports: readonly number[]): string | undefined {
  const wrong = ports.find((port) => port < 1 || port > 65535);
  return wrong === undefined ? undefined : `there is no port ${wrong}`;
}

/** The machine that would run something, with a disk and sockets that are only named. */
export async function plannedMachine(
  { emit }: Pick<Caller, 'emit'>,
  registry: Registry,
  bootable: Bootable,
  name: string,
  options: BootOptions,
): Promise<Machine> {
  const { accelerator } = await acceleratorFor(bootable.runnable, options, emit);
  const folder = registry.folder(name);
  const file = options.direct ? bootable.image?.file : path.join(folder, DISK);
  const disk = bootable.image && ({ file: file!, format: options.direct ? 'raw' : 'qcow2' } as const);
  return machineFor(bootable, options, { name, accelerator, disk, runtime: folder, folder });
}

/**
 * Starts a VM, and stays with it until it ends or the signal is aborted, or, detached, until it answers. `start` is how to
 * start it again.
 */
export async function boot(
  caller: Caller,
  registry: Registry,
  bootable: Bootable,
  name: string,
  options: BootOptions,
  start: Json,
): Promise<VmRecord> {
  const { runnable } = bootable;
  const { emit, signal } = caller;
  const accelerated = await acceleratorFor(runnable, options, emit);
  const {
    vm,
    machine,
    record: begun,
  } = await registry.exclusively(
    name,
    async () => {
      await assertStartable(registry, name, []);
      return launch(registry, bootable, name, accelerated.accelerator, options, start);
    },
    signal,
  );
  let record = begun;
  let leave = false;
  // However this process ends, it leaves no VM behind that nobody asked to keep.
  const kill = () => killNow(record);
  process.once('exit', kill);
  const release = registry.takeConsole(name);
  try {
    emit({ type: 'vm-starting', vm: name, command: [...vm.command], accelerator: machine.accelerator });
    for (const file of vm.terminals()) emit({ type: 'notice', text: `one more console of ${name} is at ${file}` });
    vm.on('console', (bytes) => emit({ type: 'vm-console', vm: name, bytes }));
    await untilReady(vm, runnable, machine.forwards, options.timeout, signal);
    if (signal.aborted) return record;
    vm.clocks.ready = vm.elapsed();
    record = { ...record, ready: true };
    registry.write(record);
    registry.boots.add({ target: record.target, at: Date.now(), accelerator: record.accelerator, clocks: vm.clocks });
    emit({ type: 'vm-ready', vm: name, urls: [...record.urls], clocks: vm.clocks });
    leave = options.detach ?? false;
    if (options.during) await options.during(vm, machine.forwards, signal);
    else if (!leave) await untilOver(vm, options.input, signal);
    return record;
  } finally {
    vm.detach();
    if (typeof release === 'function') release();
    if (!leave) {
      await stopVm({ ...record, powerButton: record.powerButton && !options.abruptly }, emit);
      registry.stopped(record);
    }
    process.off('exit', kill);
  }
}

/** Makes the VM's disk and folders, starts QEMU, and notes it. */
async function launch(
  registry: Registry,
  bootable: Bootable,
  name: string,
  accelerator: Accelerator,
  options: BootOptions,
  start: Json,
): Promise<{ vm: RunningVm; machine: Machine; record: VmRecord }> {
  const { runnable } = bootable;
  const folder = makeDirectory(registry.folder(name));
  const consoleLog = path.join(folder, 'console.log');
  rmSync(consoleLog, { force: true });
  const { disk, over } = await diskFor(registry, bootable, name, options);
  const runtime = makeRuntimeFolder();
  for (const [variable, value] of Object.entries(varsOf(runnable, options))) {
    await writeFile(varFile(runtime, variable), value, { mode: 0o600 });
  }
  const machine = await machineFor(bootable, options, { name, accelerator, disk, runtime, folder });
  const started = Date.now();
  const vm = await RunningVm.start(machine, folder, GUESTS[runnable.guest].userland);
  const record: VmRecord = {
    name,
    target: runnable.name,
    pid: vm.pid,
    born: vm.born,
    started,
    forwards: machine.forwards,
    urls: urlsOf(machine.forwards),
    accelerator: machine.accelerator,
    memory: machine.memory,
    powerButton: runnable.kernel.build.features?.includes('power-button') ?? false,
    kept: Boolean(options.keep || options.detach || registry.get(name)?.kept),
    protected: registry.get(name)?.protected,
    image: over,
    ready: false,
    page: pageOf(runnable, machine.forwards),
    options: start,
    runtime,
    consoleSocket: machine.consoleSocket,
    qmpSocket: machine.qmpSocket,
    consoleLog,
  };
  registry.write(record);
  return { vm, machine, record };
}

/** The disk with the root. */
type RootDisk = Pick<Machine['disks'][number], 'file' | 'format'>;

/**
 * The disk with the root, the image itself or one of the VM's own over it, which may be there from before; and what the VM's
 * own one is over. Throws `older-disk`, `disk-there` and `image-held`.
 */
async function diskFor(
  registry: Registry,
  { image, runnable }: Bootable,
  name: string,
  options: BootOptions,
): Promise<{ readonly disk: RootDisk | undefined; readonly over: string | undefined }> {
  const known = registry.get(name);
  if (image === undefined || (options.imageAsInitrd ?? runnable.run.imageAsInitrd))
    return { disk: undefined, over: known?.image };
  if (options.direct) {
    // Another VM has its disk over it, or has it open: what one writes would be under the other's feet.
    if (!(options.shareRw ?? runnable.run.shareRw) && (await isHeld(image.file))) throw problems.imageHeld(image.file);
    return { disk: { file: image.file, format: 'raw' }, over: known?.image };
  }
  const folder = registry.folder(name);
  const own = path.join(folder, DISK);
  if (!options.fresh && known?.kept && known.image !== undefined && existsSync(own)) {
    if (known.image !== image.identity && !options.resume) throw problems.olderDisk(name);
    if (options.grow !== undefined) throw problems.diskThere(name);
    return { disk: { file: own, format: 'qcow2' }, over: known.image };
  }
  const more = options.grow === undefined ? 0 : parseSize(options.grow);
  return { disk: { file: await makeOverlay(image.file, folder, more), format: 'qcow2' }, over: image.identity };
}

async function machineFor(
  { runnable, kernel, initrd, image }: Bootable,
  options: BootOptions,
  on: {
    name: string;
    accelerator: Accelerator;
    disk: RootDisk | undefined;
    runtime: string;
    folder: string;
  },
): Promise<Machine> {
  const { name, accelerator, disk, runtime, folder } = on;
  return machineOf(runnable, options, {
    name,
    accelerator,
    kernel: { file: kernel, bytes: await readFile(kernel) },
    initrd,
    image: image?.file,
    disk,
    runtime,
    consoleLog: path.join(folder, 'console.log'),
  });
}

async function acceleratorFor({ arch }: Runnable, { accel }: BootOptions, emit: Caller['emit']): Promise<Choice> {
  if (accel !== undefined) return { accelerator: accel };
  const choice = await chooseAccelerator(arch, cacheRoot());
  if (choice.reason !== undefined) {
    emit({
      type: 'notice',
      text: `no hardware acceleration (${choice.reason}): QEMU emulates the processor, which is slower`,
    });
  }
  return choice;
}

/** Passes what is typed to the guest until QEMU ends or the signal is aborted. */
async function untilOver(vm: RunningVm, input: NodeJS.ReadableStream | undefined, signal: AbortSignal): Promise<void> {
  const type = (bytes: Buffer) => vm.type(bytes);
  input?.on('data', type);
  try {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
      void vm.ended.then(() => resolve());
    });
  } finally {
    input?.off('data', type);
  }
}

/** What the well-known ports of guests are spoken to by; anything else is most likely HTTP. */
const SCHEMES: Readonly<Record<number, string>> = { 22: 'ssh', 443: 'https', 5900: 'vnc', 6379: 'redis' };

function urlsOf(forwards: readonly Forward[]): string[] {
  return forwards
    .filter(({ protocol }) => protocol === 'tcp')
    .map(({ address, host, guest }) => `${SCHEMES[guest] ?? 'http'}://${address}:${host}/`);
}
