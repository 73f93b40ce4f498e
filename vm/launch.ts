import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { link, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { qcow2Overlay } from '../formats/qcow2.ts';
import { asProblem, makeDirectory } from '../host/files.ts';
import { birthOf, startDetached } from '../host/process.ts';
import type { Clocks, Emit } from '../model/event.ts';
import { argvOf } from './argv.ts';
import type { Machine } from './machine.ts';
import { Qmp } from './qmp.ts';
import { BASE, DISK, isRunning, type VmRecord } from './registry.ts';

/** How much of the end of a console is kept for messages. */
const TAIL = 64 * 1024;

/** A started QEMU and its console. */
export class RunningVm extends EventEmitter<{ console: [Buffer] }> {
  readonly name: string;
  readonly pid: number;
  /** When QEMU began, to tell it from a later process with its pid. */
  readonly born: string;
  readonly command: readonly string[];
  readonly clocks: Clocks = {};
  /** Settles when QEMU has ended: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #started: number;
  readonly #userland: RegExp;
  readonly #qemuLog: string;
  readonly #release: () => void;
  #socket: Socket | undefined;
  #tail = '';

  private constructor(
    name: string,
    process: ReturnType<typeof startDetached>,
    command: readonly string[],
    started: number,
    userland: RegExp,
    qemuLog: string,
  ) {
    super();
    this.name = name;
    this.pid = process.pid;
    this.born = birthOf(process.pid);
    this.ended = process.ended;
    this.#release = process.release;
    this.command = command;
    this.#started = started;
    this.#userland = userland;
    this.#qemuLog = qemuLog;
  }

  /**
   * Starts QEMU in `folder` and connects to its console. `userland` matches what comes before user land's first byte. With
   * `diesWithUs` it outlives this process by no means, where the host has one for that.
   */
  static async start(
    machine: Machine,
    folder: string,
    userland: RegExp,
    { diesWithUs = false } = {},
  ): Promise<RunningVm> {
    const [program = '', ...args] = argvOf(machine);
    const log = path.join(folder, 'qemu.log');
    rmSync(log, { force: true });
    const started = performance.now();
    const process = startDetached(program, args, { cwd: folder, log, diesWithUs });
    const vm = new RunningVm(machine.name, process, [program, ...args], started, userland, log);
    let over = false;
    const ended = () => {
      over = true;
    };
    vm.ended.then(ended, ended);
    while (!over && vm.#socket === undefined) {
      vm.#socket = existsSync(machine.consoleSocket) ? await tryConnect(machine.consoleSocket) : undefined;
      if (vm.#socket === undefined) await sleep(3);
    }
    vm.#socket?.on('data', (bytes: Buffer) => vm.#receive(bytes));
    vm.#socket?.on('error', () => undefined); // the end of QEMU says more
    return vm;
  }

  /** Milliseconds since QEMU was started. */
  elapsed(): number {
    return performance.now() - this.#started;
  }

  /** The end of the console, at most so many lines; what QEMU itself said, if the console had nothing. */
  tail(lines = 20): string {
    return this.#lines().slice(-lines).join('\n');
  }

  /** A line of the console with what came before it, and a little of what came after. */
  around(line: string): string {
    const lines = this.#lines();
    const at = lines.findIndex((each) => each.includes(line));
    return lines.slice(Math.max(0, at - 12), at + 4).join('\n');
  }

  /** The line at the end of the console with which the guest gave up, as the pattern finds it; undefined if there is none. */
  lastWords(panic: RegExp): string | undefined {
    return panic.exec(this.tail(200))?.[0].trim();
  }

  #lines(): string[] {
    const text = this.#tail === '' && existsSync(this.#qemuLog) ? readFileSync(this.#qemuLog, 'utf8') : this.#tail;
    return text
      .replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
      .replaceAll('\r', '')
      .trimEnd()
      .split('\n');
  }

  /** The pseudo-terminals that QEMU has opened for it, as it says in its log. */
  terminals(): string[] {
    const log = existsSync(this.#qemuLog) ? readFileSync(this.#qemuLog, 'utf8') : '';
    return [...log.matchAll(/char device redirected to (\S+)/g)].map(([, file]) => file!);
  }

  /** Types on the guest's console. */
  type(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** Leaves the VM to itself: its console goes to the log alone. */
  detach(): void {
    this.#socket?.destroy();
    this.#release();
  }

  #receive(bytes: Buffer): void {
    this.clocks.console ??= this.elapsed();
    this.#tail = (this.#tail + bytes.toString('utf8')).slice(-TAIL);
    if (this.clocks.userland === undefined) {
      const found = this.#userland.exec(this.#tail);
      if (found && this.#tail.length > found.index + found[0].length) this.clocks.userland = this.elapsed();
    }
    this.emit('console', bytes);
  }
}

async function tryConnect(file: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** A folder for a VM's sockets whose path is short enough for them. */
export function makeRuntimeFolder(): string {
  const base = process.env.XDG_RUNTIME_DIR;
  return mkdtempSync(
    path.join(base !== undefined && base.length < 60 && existsSync(base) ? base : os.tmpdir(), 'smol-'),
  );
}

/**
 * A new disk of the VM's own over an image that it must not write to. The image gets a second name in the VM's folder: a
 * build that makes a new one leaves what a VM runs from as it is. The disk can be larger than the image, by so many bytes.
 */
export async function makeOverlay(image: string, folder: string, more = 0): Promise<string> {
  const [file, base] = [path.join(folder, DISK), path.join(folder, BASE)];
  try {
    makeDirectory(folder);
    rmSync(base, { force: true });
    const isLinked = await link(image, base).then(
      () => true,
      () => false, // another file system
    );
    await writeFile(file, qcow2Overlay(isLinked ? base : image, statSync(image).size + more));
  } catch (error) {
    throw asProblem(error, folder);
  }
  return file;
}

/** How long a guest may take to power off, and QEMU to quit, in milliseconds. */
const POWER_OFF = 10_000;
const QUIT = 3000;

/**
 * Ends a VM: by its power button where it has one and obeys within `patience` milliseconds, else by QEMU's quit, else by
 * killing it. One that is over is no error.
 */
export async function stopVm(
  record: Pick<VmRecord, 'name' | 'pid' | 'born' | 'qmpSocket' | 'powerButton'>,
  emit: Emit,
  patience = POWER_OFF,
): Promise<void> {
  if (isRunning(record)) {
    emit({ type: 'vm-stopping', vm: record.name, by: record.powerButton ? 'power button' : 'quit' });
  }
  emit({ type: 'vm-stopped', vm: record.name, how: await end(record, patience) });
}

/** Kills a VM and does not wait. */
export function killNow(record: Pick<VmRecord, 'pid' | 'born'>): void {
  if (isRunning(record)) process.kill(record.pid, 'SIGKILL');
}

async function end(
  record: Pick<VmRecord, 'pid' | 'born' | 'qmpSocket' | 'powerButton'>,
  patience: number,
): Promise<'powered off' | 'ended by us'> {
  const gone = async (within: number) => {
    for (const end = Date.now() + within; isRunning(record) && Date.now() < end; ) await sleep(20);
    return !isRunning(record);
  };
  if (!isRunning(record)) return 'powered off';
  const tell = async (command: string) => {
    try {
      using qmp = await Qmp.open(record.qmpSocket);
      await qmp.execute(command);
    } catch {
      // A QEMU that does not answer is dealt with by the next means.
    }
  };
  if (record.powerButton) {
    await tell('system_powerdown');
    if (await gone(patience)) return 'powered off';
  }
  await tell('quit');
  if (!(await gone(QUIT))) {
    killNow(record);
    await gone(QUIT);
  }
  return 'ended by us';
}
