import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { diskFull, noAccess } from '../model/problems.ts';

/** Files of the host, written so that nobody ever sees half of one. */

/**
 * Writes a file whole or not at all: to a temporary file, beside it or in the folder `staging`, then renamed. Makes directories
 * where there are none. `durable` files survive even a power cut whole; others may then be torn, and must be such that their
 * reader notices it.
 */
export function writeAtomically(
  file: string,
  content: string | Uint8Array,
  { durable = false, mode = 0o666, staging }: { durable?: boolean; mode?: number; staging?: string } = {},
): void {
  const folder = staging ?? path.dirname(file);
  const temporary = path.join(folder, `${path.basename(file)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    const handle = withDirectory(temporary, () => openSync(temporary, 'wx', mode));
    try {
      writeFileSync(handle, content);
      if (durable) fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    withDirectory(file, () => renameSync(temporary, file));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw asProblem(error, file);
  }
}

/** The file's text, or undefined if there is none. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Makes a directory and those above it. Throws `no-access` or `disk-full`. */
export function makeDirectory(folder: string): string {
  try {
    // Not node's `recursive`, which never ends where nothing can be made: below /proc.
    withDirectory(folder, () => mkdirSync(folder));
  } catch (error) {
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw asProblem(error, folder);
  }
  return folder;
}

/** Does what makes a file; where there is no directory for it, makes that and does it again. */
export function withDirectory<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    const folder = path.dirname(file);
    if (!isMissing(error) || folder === file) throw error;
    makeDirectory(folder);
    return make();
  }
}

/** The problem that an error of the file system stands for; other errors are given back. */
export function asProblem(error: unknown, where: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT' || message?.includes('ENOSPC')) return diskFull(where);
  if (['EACCES', 'EROFS', 'EPERM', 'ENOTDIR', 'EEXIST', 'ENOENT'].includes(code ?? '')) return noAccess(where, message);
  return error;
}

export function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** The pieces of a file, of 1 MiB each. The buffer of a piece is not used again. */
export async function* pieces(file: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const handle = await open(file);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(1024 * 1024));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** Writes all of the bytes, which one write(2) need not do. */
export async function writeAll(handle: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** The same at once, of what goes to memory. */
export function writeAllSync(handle: number, position: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(handle, bytes, done, bytes.length - done, position + done);
  }
}

/** All chunks as one. */
export async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Whether there is a regular file. */
export function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/**
 * What tells that a file is still the one that it was, without reading it. With `names`, also that its names are the same:
 * the time of the last change of the inode goes in too, which a hard link to it changes.
 */
export function signature(file: string, { names = true } = {}): string | undefined {
  try {
    const { size, mtimeNs, ctimeNs, ino } = statSync(file, { bigint: true });
    return `${size}:${mtimeNs}:${names ? ctimeNs : ''}:${ino}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether a file has other names, or somebody has it open with a lock. */
export async function isHeld(file: string): Promise<boolean> {
  return isLinked(file) || (await isLocked(file));
}

/** Whether a file has other names. */
export function isLinked(file: string): boolean {
  return statSync(file).nlink > 1;
}

/**
 * Whether somebody has a file open with a lock, as QEMU has its images; true where that cannot be told. It takes some
 * milliseconds: the kernel lists locks when nobody is about to take one.
 */
export async function isLocked(file: string): Promise<boolean> {
  const { ino } = statSync(file);
  const locks = await readFile('/proc/locks', 'latin1').catch(() => undefined);
  // proc(5): of each lock a line with the device and, after it, the inode.
  return locks === undefined || new RegExp(`^.*:${ino} `, 'm').test(locks);
}

export interface HostEntry {
  /** Relative to the folder, parts joined by `/`. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
}

/** All that is below a folder, in the order of the paths; empty if there is no such folder. */
export function walk(folder: string, under = ''): HostEntry[] {
  const found: HostEntry[] = [];
  let entries: ReturnType<typeof list>;
  try {
    entries = list(path.join(folder, under));
  } catch (error) {
    if (under === '' && isMissing(error)) return [];
    throw asProblem(error, path.join(folder, under));
  }
  for (const entry of entries) {
    const at = under === '' ? entry.name : `${under}/${entry.name}`;
    const type = entry.isFile()
      ? 'file'
      : entry.isDirectory()
        ? 'directory'
        : entry.isSymbolicLink()
          ? 'symlink'
          : 'other';
    found.push({ path: at, type });
    if (type === 'directory') found.push(...walk(folder, at));
  }
  return under === '' ? found.sort((a, b) => (a.path < b.path ? -1 : 1)) : found;
}

function list(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}
