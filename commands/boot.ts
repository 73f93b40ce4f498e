import { constants, rmSync } from 'node:fs';
import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectory } from '../host/files.ts';
import { cacheRoot } from '../host/paths.ts';
import { whyNotFree } from '../host/ports.ts';
import * as problems from '../model/problems.ts';
import { GUESTS } from '../plan/guests.ts';
import { filesOf, machineOf, type RunWishes, varFile, varsOf } from '../plan/machine.ts';
import type { Target } from '../plan/target.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { killNow, makeOverlay, makeRuntimeFolder, RunningVm, stopVm } from '../vm/launch.ts';
import type { Forward, Machine } from '../vm/machine.ts';
import { birthOf, type Registry, type VmRecord } from '../vm/registry.ts';
import type { Built } from './build.ts';
import { untilReady } from './readiness.ts';
import type { Caller, Session } from './session.ts';

/** What a virtio block device has room for (virtio 1.2, section 5.2.6: VIRTIO_BLK_T_GET_ID). */
const SERIAL_LIMIT = 20;

export interface BootOptions extends RunWishes {
  /** Return when the service answers, and leave the VM running. */
  readonly detach?: boolean | undefined;
  /** Write to the image itself. */
  readonly direct?: boolean | undefined;
  /** End it without its power button. */
  readonly abruptly?: boolean | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
  /** What is typed on the guest's console. */
  readonly input?: NodeJS.ReadableStream | undefined;
}

/** Throws `missing-file` for a file that the guest is to have and that cannot be read. */
export async function assertReadable(target: Target, wishes: RunWishes): Promise<void> {
  for (const { name, file } of filesOf(target, wishes)) {
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

/** Starts the VM of what was built, and stays with it until it ends or the signal is aborted, or, detached, until it answers. */
export async function boot(
  caller: Caller,
  session: Session,
  registry: Registry,
  built: Built,
  name: string,
  options: BootOptions,
): Promise<VmRecord> {
  const { target } = built;
  const { emit, signal } = caller;
  const folder = registry.folder(name);
  const machine = await describe(caller, session, folder, built, name, options);
  const started = Date.now();
  const vm = await RunningVm.start(machine, folder, GUESTS[target.guest].userland);
  const record: VmRecord = {
    name,
    target: target.name,
    pid: vm.pid,
    born: birthOf(vm.pid),
    started,
    forwards: machine.forwards,
    urls: urlsOf(machine.forwards),
    accelerator: machine.accelerator,
    powerButton: target.kernel.build.features?.includes('power-button') ?? false,
    runtime: path.dirname(machine.qmpSocket),
    qmpSocket: machine.qmpSocket,
    consoleLog: machine.consoleLog,
  };
  let keep = false;
  // However this process ends, it leaves no VM behind that nobody asked to keep.
  const kill = () => killNow(record);
  process.once('exit', kill);
  try {
    registry.write(record);
    emit({ type: 'vm-starting', vm: name, command: [...vm.command], accelerator: machine.accelerator });
    vm.on('console', (bytes) => emit({ type: 'vm-console', vm: name, bytes }));
    await untilReady(vm, target, machine.forwards, options.timeout, signal);
    if (signal.aborted) return record;
    vm.clocks.ready = vm.elapsed();
    emit({ type: 'vm-ready', vm: name, urls: [...record.urls], clocks: vm.clocks });
    keep = options.detach ?? false;
    if (!keep) await untilOver(vm, options.input, signal);
    return record;
  } finally {
    vm.detach();
    if (!keep) {
      await stopVm({ ...record, powerButton: record.powerButton && !options.abruptly }, emit);
      registry.remove(record);
    }
    process.off('exit', kill);
  }
}

/** The machine of this start: accelerator, disk, sockets and all. */
async function describe(
  { emit }: Caller,
  session: Session,
  folder: string,
  { target, image, kernel, initrd }: Built,
  name: string,
  options: BootOptions,
): Promise<Machine> {
  const { accelerator, reason } = await chooseAccelerator(target.arch, cacheRoot());
  if (reason !== undefined) {
    emit({
      type: 'notice',
      text: `no hardware acceleration (${reason}): QEMU emulates the processor, which is slower`,
    });
  }
  const runtime = makeRuntimeFolder();
  for (const [variable, value] of Object.entries(varsOf(target, options))) {
    await writeFile(varFile(runtime, variable), value, { mode: 0o600 });
  }
  makeDirectory(folder);
  const consoleLog = path.join(folder, 'console.log');
  rmSync(consoleLog, { force: true });
  const { store } = session.workshop;
  const kernelFile = await store.verifiedFile(kernel);
  const serial = target.partition.slice(0, SERIAL_LIMIT);
  return machineOf(target, options, {
    name,
    accelerator,
    kernel: { file: kernelFile, bytes: await readFile(kernelFile) },
    initrd: initrd && (await store.verifiedFile(initrd)),
    disk: options.direct
      ? { file: target.image, format: 'raw', serial }
      : { file: await makeOverlay(target.image, image.artifact.size, folder), format: 'qcow2', serial },
    runtime,
    consoleLog,
  });
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
