import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isMissing, readIfThere, writeAtomically } from '../host/files.ts';
import { isAlive } from '../host/lock.ts';
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
  /** Whether the guest has a power button that QEMU can press. */
  readonly powerButton: boolean;
  /** The folder of the sockets. */
  readonly runtime: string;
  readonly qmpSocket: string;
  readonly consoleLog: string;
}

/** The VMs of a project: a folder each, with the record, the overlay disk and the console's log. */
export class Registry {
  readonly #folder: string;

  /** `state` is the project's folder for state. */
  constructor(state: string) {
    this.#folder = path.join(state, 'vm');
  }

  folder(name: string): string {
    return path.join(this.#folder, name);
  }

  /** Those whose QEMU lives, by name. What is left of others is removed. */
  running(): VmRecord[] {
    const found: VmRecord[] = [];
    for (const name of this.#names()) {
      const record = this.#read(name);
      if (record === undefined) continue;
      if (isRunning(record)) found.push(record);
      else this.remove(record);
    }
    return found;
  }

  write(record: VmRecord): void {
    writeAtomically(this.#file(record.name), `${JSON.stringify(record, undefined, 2)}\n`);
  }

  /** Removes a VM's disk and sockets; its console's log stays until the next start. */
  remove({ name, runtime }: Pick<VmRecord, 'name' | 'runtime'>): void {
    rmSync(this.#file(name), { force: true });
    rmSync(path.join(this.folder(name), 'disk.qcow2'), { force: true });
    rmSync(runtime, { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.folder(name), 'vm.json');
  }

  #read(name: string): VmRecord | undefined {
    try {
      return JSON.parse(readIfThere(this.#file(name)) ?? 'null') ?? undefined;
    } catch {
      return undefined;
    }
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

/** Whether the process of a VM lives, and is still the same. */
export function isRunning({ pid, born }: Pick<VmRecord, 'pid' | 'born'>): boolean {
  return isAlive(pid) && birthOf(pid) === born;
}

/** When a process began, in the words of the host: a field of proc(5), where there is one. */
export function birthOf(pid: number): string {
  if (!existsSync('/proc/self/stat')) return 'unknown';
  try {
    // The second field is the program's name in parentheses, and may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown';
  } catch {
    return 'gone';
  }
}
