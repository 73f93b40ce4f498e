import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { asProblem, readIfThere } from './files.ts';

/** Locks between processes of one host: a file that exists, with the pid of who made it. */

/** Whether a process of that id lives. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Does the work while no other process that asks for the same lock does its own. The lock of a dead process is ignored. */
export async function withLock<T>(file: string, work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
  while (!take(file)) await setTimeout(5, undefined, signal && { signal });
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asProblem(error, file);
    const owner = Number(readIfThere(file) ?? '');
    // An empty file is one whose owner is about to write its pid.
    if (owner > 0 && owner !== process.pid && !isAlive(owner)) rmSync(file, { force: true });
    return false;
  }
}
