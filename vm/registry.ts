import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isMissing, readIfThere, writeAtomically } from '../host/files.ts';
import { Ledger } from '../host/ledger.ts';
import { isAlive, tryLock, withLock } from '../host/lock.ts';
import { birthOf } from '../host/process.ts';
import type { Clocks } from '../model/event.ts';
import type { Json } from '../model/json.ts';
import type { Forward } from './machine.ts';

/** What is known of a VM that was started. */
export interface VmRecord {
  readonly name: string;
  readonly target: string;
  readonly pid: number;
  /** What the host says of when the process began: tells it from a later one with the same pid. */
  readonly born: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly forwards: readonly Forward[];
  readonly urls: readonly string[];
  readonly accelerator: string;
  /** MiB. */
  readonly memory: number;
  /** Whether the guest has a power button that QEMU can press. */
  readonly powerButton: boolean;
  /** Whether it stays, with its disk, when it stops. */
  readonly kept: boolean;
  /** Whether it is neither stopped nor removed until somebody says that it is protected no more. */
  readonly protected?: boolean | undefined;
  /** What its disk was made over, to be compared; undefined if it has none of its own. */
  readonly image: string | undefined;
  /** Whether its service has answered. */
  readonly ready: boolean;
  /** The page that its service answers with, if it is asked for one. */
  readonly page: string | undefined;
  /** How to start it again. */
  readonly options: Json;
  /** The folder of the sockets. */
  readonly runtime: string;
  readonly consoleSocket: string;
  readonly qmpSocket: string;
  readonly consoleLog: string;
}

/** How fast a VM once was. */
export interface Boot {
  readonly target: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly accelerator: string;
  readonly clocks: Clocks;
}

/** How many boots are remembered. */
const BOOTS = 500;

/** The VMs of a project: a folder each, with the record, the overlay disk and the console's log. */
export class Registry {
  readonly #folder: string;
  /** The boots that ended with an answer, the last first. */
  readonly boots: Ledger<Boot>;

  /** `state` is the project's folder for state. */
  constructor(state: string) {
    this.#folder = path.join(state, 'vm');
    this.boots = new Ledger(path.join(state, 'boots.json'), BOOTS);
  }

  folder(name: string): string {
    return path.join(this.#folder, name);
  }

  /** All of them, by name: those that run, and those that are kept. What is left of others is removed. */
  all(): VmRecord[] {
    const found: VmRecord[] = [];
    for (const name of this.#names()) {
      const record = this.get(name);
      if (record === undefined) continue;
      const isOver = !isRunning(record);
      if (isOver) this.stopped(record);
      if (record.kept || !isOver) found.push(record);
    }
    return found;
  }

  /** Those whose QEMU lives. */
  running(): VmRecord[] {
    return this.all().filter(isRunning);
  }

  get(name: string): VmRecord | undefined {
    try {
      return JSON.parse(readIfThere(this.#file(name)) ?? 'null') ?? undefined;
    } catch {
      return undefined;
    }
  }

  write(record: VmRecord): void {
    // Its options hold what one VM alone is told.
    writeAtomically(this.#file(record.name), `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
  }

  /** Does what changes a VM while nobody else does. */
  exclusively<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return withLock(path.join(this.#folder, `.${name}.lock`), work, signal);
  }

  /** Takes a place at the console, of which there is one: gives what frees it, or the pid of who has it. */
  takeConsole(name: string): (() => void) | number {
    return tryLock(path.join(this.#folder, `.${name}.console`));
  }

  /** Cleans up after a VM that ended: one that is kept has its disk still; of others only the console's log stays. */
  stopped({ name, runtime, kept }: Pick<VmRecord, 'name' | 'runtime' | 'kept'>): void {
    rmSync(runtime, { recursive: true, force: true });
    if (kept) return;
    rmSync(this.#file(name), { force: true });
    for (const each of [DISK, BASE]) rmSync(path.join(this.folder(name), each), { force: true });
  }

  /** Removes a VM that does not run, and all that it has. */
  remove({ name, runtime }: Pick<VmRecord, 'name' | 'runtime'>): void {
    rmSync(runtime, { recursive: true, force: true });
    rmSync(this.folder(name), { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.folder(name), 'vm.json');
  }

  #names(): string[] {
    try {
      return readdirSync(this.#folder).sort();
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }
}

/** A VM's own disk, and the name that it has for the image below that. */
export const DISK = 'disk.qcow2';
export const BASE = 'base.img';

/** Whether the process of a VM lives, and is still the same. */
export function isRunning({ pid, born }: Pick<VmRecord, 'pid' | 'born'>): boolean {
  return isAlive(pid) && birthOf(pid) === born;
}
