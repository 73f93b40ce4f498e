import { createReadStream, existsSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pageAt } from '../host/http.ts';
import { ImageFile } from '../host/imagefile.ts';
import { usageOf } from '../host/process.ts';
import { ARCHS } from '../model/arch.ts';
import * as problems from '../model/problems.ts';
import { stopVm } from '../vm/launch.ts';
import { type Boot, isRunning, type Registry, type VmRecord } from '../vm/registry.ts';
import { type RunOptions, registryFor, run } from './run.ts';
import type { Caller } from './session.ts';

/** A VM as it is now. */
export interface VmState extends VmRecord {
  /** `starting`: its service has not answered yet; `silent`: it did once, and does not now. */
  readonly state: 'starting' | 'running' | 'silent' | 'stopped';
  /** Of one core since it started, in percent; and of the host's memory, in bytes. */
  readonly cpu?: number | undefined;
  readonly rss?: number | undefined;
  /** Of processors since it started, in milliseconds. */
  readonly cpuMs?: number | undefined;
}

/** How long a service may take to answer whoever asks how it is: milliseconds. */
const ANSWER_MS = 1000;

/** The VMs of the project that are running; with `all`, also those that are kept. */
export async function ps(caller: Pick<Caller, 'folder'>, all = false): Promise<VmState[]> {
  const registry = await registryFor(caller);
  const records = registry.all().filter((record) => all || isRunning(record));
  return Promise.all(records.map(stateOf));
}

async function stateOf(record: VmRecord): Promise<VmState> {
  if (!isRunning(record)) return { ...record, state: 'stopped' };
  const { cpuMs, rss } = usageOf(record.pid) ?? {};
  const up = Math.max(1, Date.now() - record.started);
  const cpu = cpuMs === undefined ? undefined : Math.round((100 * cpuMs) / up);
  if (!record.ready) return { ...record, state: 'starting', cpu, rss, cpuMs };
  const isSilent = record.page !== undefined && (await pageAt(record.page, ANSWER_MS)) === undefined;
  return { ...record, state: isSilent ? 'silent' : 'running', cpu, rss, cpuMs };
}

/** Says that a VM, which is kept then, is neither stopped nor removed; or that it may be. Throws `no-such-vm`. */
export async function protect(caller: Pick<Caller, 'folder'>, name: string, isProtected: boolean): Promise<void> {
  const registry = await registryFor(caller);
  const record = known(registry, name);
  registry.write({ ...record, kept: true, protected: isProtected });
}

function refuseProtected(records: readonly VmRecord[]): void {
  const found = records.find((record) => record.protected);
  if (found !== undefined) throw problems.vmProtected(found.name);
}

/** How fast the VMs of a service were, the last first. */
export async function boots(caller: Pick<Caller, 'folder'>, service: string): Promise<Boot[]> {
  const registry = await registryFor(caller);
  const targets = ARCHS.map((arch) => `${service}-${arch}`);
  return registry.boots.entries.filter(({ target }) => targets.includes(target));
}

/** Stops VMs by name, or all of them; each may take so many seconds to power off. Throws `no-such-vm` and `vm-protected`. */
export async function stop(caller: Caller, names: readonly string[], all: boolean, seconds?: number): Promise<void> {
  const registry = await registryFor(caller);
  const wanted = all ? registry.running() : names.map((name) => running(registry, name));
  refuseProtected(wanted);
  await Promise.all(
    wanted.map(async (vm) => {
      await stopVm(vm, caller.emit, seconds === undefined ? undefined : seconds * 1000);
      registry.stopped(vm);
    }),
  );
}

/** Stops a VM if it runs, and starts it again as it was started, with the disk that it has. Throws `no-such-vm`. */
export async function restart(caller: Caller, name: string): Promise<VmRecord> {
  const registry = await registryFor(caller);
  const record = known(registry, name);
  if (isRunning(record)) {
    refuseProtected([record]);
    await stopVm(record, caller.emit);
    registry.stopped({ ...record, kept: true });
  }
  const options = record.options as RunOptions;
  return run(caller, { ...options, name, detach: true, resume: true });
}

/** Removes VMs that are kept, with their disks. Throws `no-such-vm` and `vm-running`. */
export async function remove(caller: Caller, names: readonly string[], force: boolean): Promise<void> {
  const registry = await registryFor(caller);
  const records = names.map((name) => known(registry, name));
  const busy = records.find(isRunning);
  if (busy !== undefined && !force) throw problems.vmNotStopped(busy.name);
  refuseProtected(records);
  for (const record of records) {
    if (isRunning(record)) await stopVm(record, caller.emit);
    registry.remove(record);
  }
}

/** Waits until a VM ends. Throws `no-such-vm` and `waited-too-long`. */
export async function wait(caller: Caller, name: string, seconds: number | undefined): Promise<void> {
  const registry = await registryFor(caller);
  const record = known(registry, name);
  const end = seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + seconds * 1000;
  while (isRunning(record) && !caller.signal.aborted) {
    if (Date.now() > end) throw problems.waitedTooLong(`the end of ${name}`, seconds!, tailOf(record, 10));
    await sleep(50);
  }
  if (!caller.signal.aborted) registry.stopped(record);
}

/** Gives what the console of a VM has said to `write`; with `follow`, what it says until the VM ends, too. */
export async function logs(
  caller: Caller,
  name: string,
  follow: boolean,
  write: (bytes: Buffer) => Promise<void>,
): Promise<void> {
  const registry = await registryFor(caller);
  const record = registry.get(name);
  const file = logOf(registry, name);
  let done = 0;
  for (;;) {
    // Before the log is read: what is said last must be seen.
    const isOver = record === undefined || !isRunning(record);
    if (statSync(file).size > done) {
      for await (const piece of createReadStream(file, { start: done })) {
        done += (piece as Buffer).length;
        await write(piece as Buffer);
      }
    }
    if (!follow || isOver || caller.signal.aborted) return;
    await sleep(50);
  }
}

/** The end of what the console of a VM has said, at most so many bytes. Throws `no-such-vm`. */
export async function logTail(caller: Pick<Caller, 'folder'>, name: string, bytes: number): Promise<Buffer> {
  return endOf(logOf(await registryFor(caller), name), bytes);
}

/** Somebody at the console of a VM. */
export interface ConsoleLine extends AsyncDisposable {
  readonly socket: Socket;
  /** The end of what was said before. */
  readonly before: string;
}

/** Opens the console of a VM that runs by itself. Throws `no-such-vm`, `vm-not-running` and `console-taken`. */
export async function openConsole(caller: Caller, name: string): Promise<ConsoleLine> {
  const registry = await registryFor(caller);
  const record = running(registry, name);
  const release = registry.takeConsole(name);
  if (typeof release === 'number') throw problems.consoleTaken(name, release);
  const socket = connect(record.consoleSocket);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', () => reject(problems.vmNotRunning(name)));
  });
  socket.on('error', () => undefined); // the end of the VM says more
  return {
    socket,
    before: tailOf(record, 10),
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      release();
    },
  };
}

/**
 * Types a line on the console of a VM, and gives what it says after that: until that matches `expect`, or else until it
 * has said nothing for half a second. Throws `waited-too-long` with what it said instead.
 */
export async function send(
  caller: Caller,
  name: string,
  text: string,
  { expect, seconds = 10 }: { expect?: RegExp | undefined; seconds?: number | undefined } = {},
): Promise<string> {
  await using line = await openConsole(caller, name);
  let said = '';
  let last = Date.now();
  line.socket.on('data', (bytes: Buffer) => {
    said += bytes.toString('utf8');
    last = Date.now();
  });
  line.socket.write(`${text}\n`);
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = said.replaceAll('\r', '');
    if (expect !== undefined ? expect.test(answer) : Date.now() - last > QUIET_MS) return answer;
    if (Date.now() > end) throw problems.waitedTooLong(`an answer of ${name} like ${expect}`, seconds, answer);
    await sleep(20, undefined, { signal: caller.signal });
  }
}

const QUIET_MS = 500;

function known(registry: Registry, name: string): VmRecord {
  const record = registry.all().find((vm) => vm.name === name);
  if (record === undefined) throw noSuchVm(registry, name);
  return record;
}

function running(registry: Registry, name: string): VmRecord {
  const record = known(registry, name);
  if (!isRunning(record)) throw problems.vmNotRunning(name);
  return record;
}

function noSuchVm(registry: Registry, name: string) {
  return problems.noSuchVm(
    name,
    registry.all().map((vm) => vm.name),
  );
}

/** The log of a VM's console, which outlives it. */
function logOf(registry: Registry, name: string): string {
  const file = registry.get(name)?.consoleLog ?? path.join(registry.folder(name), 'console.log');
  if (!existsSync(file)) throw noSuchVm(registry, name);
  return file;
}

function endOf(file: string, bytes: number): Buffer {
  using log = new ImageFile(file);
  const length = Math.min(bytes, log.size);
  return log.read(log.size - length, length);
}

/** More than any few lines of a console. */
const FEW_LINES = 64 * 1024;

function tailOf({ consoleLog }: VmRecord, lines: number): string {
  const text = existsSync(consoleLog) ? endOf(consoleLog, FEW_LINES).toString('utf8') : '';
  return text.replaceAll('\r', '').trimEnd().split('\n').slice(-lines).join('\n');
}
