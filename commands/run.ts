import { mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot } from '../host/paths.ts';
import { isFree } from '../host/ports.ts';
import { requirePrograms } from '../host/programs.ts';
import * as problems from '../model/problems.ts';
import { GUESTS } from '../plan/guests.ts';
import { forwardsOf, machineOf, type RunWishes } from '../plan/machine.ts';
import { chooseArch, resolveTarget, type Target } from '../plan/target.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { makeOverlay, makeRuntimeFolder, RunningVm, stopVm } from '../vm/launch.ts';
import { EMULATORS, type Forward } from '../vm/machine.ts';
import { untilHttp, untilTcp } from '../vm/ready.ts';
import { birthOf, Registry, type VmRecord } from '../vm/registry.ts';
import { type Built, buildTargets } from './build.ts';
import { type Caller, openSession, type Session } from './session.ts';

export interface RunOptions extends RunWishes {
  readonly service: string;
  readonly arch?: string | undefined;
  /** The name of the VM; by default that of the service. */
  readonly name?: string | undefined;
  /** Return when the service answers, and leave the VM running. */
  readonly detach?: boolean | undefined;
  /** Write to the image itself. */
  readonly direct?: boolean | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
  /** What is typed on the guest's console. */
  readonly input?: NodeJS.ReadableStream | undefined;
}

const READY_SECONDS = 60;

/** Builds a service and runs it until its VM ends, the signal is aborted, or, detached, until it answers. */
export async function run(caller: Caller, options: RunOptions): Promise<VmRecord> {
  const session = await openSession(caller);
  try {
    const { project, workshop } = session;
    const arch = await chooseArch(project, options.arch);
    const target = await resolveTarget(project, await project.service(options.service), arch);
    const name = options.name ?? target.service;
    const registry = new Registry(project.state);
    await assertStartable(registry, name, forwardsOf(target, options));
    // QEMU is asked for before the build: who lacks it should not wait for a build to hear so.
    await requirePrograms([EMULATORS[arch]], caller.emit, workshop.signal);
    const [built] = await buildTargets(session, [target], caller);
    return await boot(caller, session, registry, built!, name, options);
  } finally {
    session.close();
  }
}

/** Throws `vm-running` and `port-busy` while it costs nothing. */
async function assertStartable(registry: Registry, name: string, forwards: readonly Forward[]): Promise<void> {
  const running = registry.running();
  const same = running.find((vm) => vm.name === name);
  if (same !== undefined) throw problems.vmRunning(name, same.pid);
  for (const { protocol, address, host } of forwards) {
    if (await isFree(protocol, address, host)) continue;
    const other = running.find((vm) =>
      vm.forwards.some((forward) => forward.host === host && forward.protocol === protocol),
    );
    throw problems.portBusy(address, host, other?.name);
  }
}

async function boot(
  caller: Caller,
  session: Session,
  registry: Registry,
  built: Built,
  name: string,
  options: RunOptions,
): Promise<VmRecord> {
  const { target } = built;
  const { emit, signal } = caller;
  const guest = GUESTS[target.guest];
  const { accelerator, reason } = await chooseAccelerator(target.arch, cacheRoot());
  if (reason !== undefined)
    emit({
      type: 'notice',
      text: `no hardware acceleration (${reason}): QEMU emulates the processor, which is slower`,
    });

  const folder = registry.folder(name);
  mkdirSync(folder, { recursive: true });
  const consoleLog = path.join(folder, 'console.log');
  rmSync(consoleLog, { force: true });
  const runtime = makeRuntimeFolder();
  const image = built.image.artifact.size;
  const disk = options.direct
    ? ({ file: target.image, format: 'raw', serial: target.partition.slice(0, 20) } as const)
    : ({
        file: await makeOverlay(target.image, image, folder),
        format: 'qcow2',
        serial: target.partition.slice(0, 20),
      } as const);
  const { store } = session.workshop;
  const machine = machineOf(target, options, {
    name,
    accelerator,
    kernel: {
      file: await store.verifiedFile(built.kernel),
      bytes: await readFile(await store.verifiedFile(built.kernel)),
    },
    initrd: built.initrd && (await store.verifiedFile(built.initrd)),
    disk,
    runtime,
    consoleLog,
  });

  const started = Date.now();
  const vm = await RunningVm.start(machine, folder, guest.userland);
  const record: VmRecord = {
    name,
    target: target.name,
    pid: vm.pid,
    born: birthOf(vm.pid),
    started,
    forwards: machine.forwards,
    urls: urlsOf(machine.forwards),
    accelerator,
    powerButton: target.kernel.build.features?.includes('power-button') ?? false,
    runtime,
    qmpSocket: machine.qmpSocket,
    consoleLog,
  };
  registry.write(record);
  emit({ type: 'vm-starting', vm: name, command: [...vm.command], accelerator });
  vm.on('console', (bytes) => emit({ type: 'vm-console', vm: name, bytes }));

  let keep = false;
  // However this process ends, it leaves no VM behind that nobody asked to keep.
  const kill = () => process.kill(vm.pid, 'SIGKILL');
  process.once('exit', kill);
  try {
    await untilReady(vm, target, machine.forwards, options.timeout, signal);
    if (signal.aborted) return record;
    vm.clocks.ready = vm.elapsed();
    emit({ type: 'vm-ready', vm: name, urls: [...record.urls], clocks: vm.clocks });
    keep = options.detach ?? false;
    if (!keep) await untilOver(vm, options.input, signal);
    return record;
  } finally {
    vm.detach();
    process.off('exit', kill);
    if (!keep) {
      const how = await stopVm(record);
      registry.remove(record);
      emit({ type: 'vm-stopped', vm: name, how });
    }
  }
}

/** Settles when the service answers or the signal is aborted; throws how the guest failed. */
async function untilReady(
  vm: RunningVm,
  target: Target,
  forwards: readonly Forward[],
  wished: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const guest = GUESTS[target.guest];
  const { ready } = target.run;
  const seconds = wished ?? ready?.timeout ?? READY_SECONDS;
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const timer = setTimeout(() => over.abort(), seconds * 1000);
  const forward = forwards.find(({ protocol, guest: port }) => protocol === 'tcp' && (ready?.port ?? port) === port);
  const url = forward && ready?.http && `http://${forward.address}:${forward.host}${ready.http}`;
  const words = ready?.console;
  const what =
    url ??
    (words ? `with "${words}" on its console` : forward ? `on port ${forward.host}` : 'by starting its first program');

  const answered = async () => {
    if (url) await untilHttp(url, stop);
    else if (words !== undefined) await untilConsole(vm, () => new RegExp(words, 'm').test(vm.tail(1000)), stop);
    else if (forward) await untilTcp(forward, stop);
    else await untilConsole(vm, () => vm.clocks.userland !== undefined, stop);
  };
  const panic = () => {
    const line = guest.panic.exec(vm.tail(200))?.[0].trim();
    return line && problems.guestPanicked(vm.name, line, vm.around(line));
  };
  const panicked = new Promise<never>((_, reject) => {
    vm.on('console', () => {
      // What follows the line is part of the story: a moment for it to arrive.
      if (panic()) setTimeout(() => reject(panic()), 200);
    });
  });
  const ended = vm.ended.then((how) => {
    throw (
      panic() ||
      problems.guestExited(
        vm.name,
        typeof how === 'number' ? `QEMU exited with ${how}` : `QEMU was ended by ${how}`,
        vm.tail(),
      )
    );
  });
  try {
    await Promise.race([answered(), panicked, ended]);
    if (over.signal.aborted) throw problems.guestSilent(vm.name, seconds, what, vm.tail());
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

async function untilConsole(vm: RunningVm, isSeen: () => boolean, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const check = () => {
      if (signal.aborted || isSeen()) resolve();
    };
    vm.on('console', check);
    signal.addEventListener('abort', check);
    check();
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

function urlsOf(forwards: readonly Forward[]): string[] {
  return forwards.filter(({ protocol }) => protocol === 'tcp').map(({ address, host }) => `http://${address}:${host}/`);
}
