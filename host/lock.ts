import { rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { asProblem, readIfThere, withDirectory } from './files.ts';

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
  for (let wait = FIRST_POLL_MS; !take(file); wait = Math.min(2 * wait, LAST_POLL_MS)) {
    breakIfDead(file);
    await setTimeout(wait, undefined, signal && { signal });
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** Takes a lock and gives what frees it, or the pid of the living process that has it. */
export function tryLock(file: string): (() => void) | number {
  for (let tries = 0; !take(file); tries++) {
    breakIfDead(file);
    const owner = ownerOf(file);
    if (owner !== undefined && tries > 0) return owner;
  }
  return () => rmSync(file, { force: true });
}

/** How long one waits before looking again: ever longer, since what takes long may take very long. */
const FIRST_POLL_MS = 5;
const LAST_POLL_MS = 80;
/** A lock on a lock is held for microseconds. One this old has lost its process in them. */
const STALE_MS = 10_000;

function take(file: string): boolean {
  try {
    withDirectory(file, () => writeFileSync(file, String(process.pid), { flag: 'wx' }));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asProblem(error, file);
    return false;
  }
}

/**
 * Removes the lock of a dead process. Only one process may do so at a time: else a second one, which looked before, would
 * remove the lock that the first has taken since.
 */
function breakIfDead(file: string): void {
  const owner = ownerOf(file);
  if (owner === undefined || isAlive(owner)) return;
  const breaking = `${file}.breaking`;
  if (!take(breaking)) {
    if (Date.now() - (statSync(breaking, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > STALE_MS) {
      rmSync(breaking, { force: true });
    }
    return;
  }
  if (ownerOf(file) === owner) rmSync(file, { force: true });
  rmSync(breaking, { force: true });
}

/** Undefined if there is no lock, or one whose process is about to write its id. */
function ownerOf(file: string): number | undefined {
  const owner = Number(readIfThere(file) ?? '');
  return owner > 0 ? owner : undefined;
}
