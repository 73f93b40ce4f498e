import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { noSuchFile } from '../model/problems.ts';
import { readChecked, remember } from './checked.ts';
import { isMissing, pieces, sha256, signature, walk } from './files.ts';

/** A file that changed less than this long ago may change again without its time showing it. */
const RACY_MS = 2000;

type Known = Record<string, { signature: string; sha256: string; size: number }>;

/** Digests of files of the host, remembered with the signature of the file so that unchanged ones are not read again. */
export class FileDigests {
  readonly #file: string;
  #known: Known | undefined;
  #changed = false;

  /** `file` is where to remember them between runs. */
  constructor(file: string) {
    this.#file = file;
  }

  /** SHA-256 and size of a file. Throws `no-such-file`. */
  async of(file: string): Promise<{ sha256: string; size: number }> {
    const known = this.#load();
    const now = signature(file);
    if (now === undefined) throw noSuchFile(file);
    const entry = known[file];
    if (entry?.signature === now) return { sha256: entry.sha256, size: entry.size };
    const hash = createHash('sha256');
    let size = 0;
    for await (const piece of pieces(file)) {
      hash.update(piece);
      size += piece.length;
    }
    const fresh = { sha256: hash.digest('hex'), size };
    if (signature(file) === now && Date.now() - statSync(file).mtimeMs > RACY_MS) {
      known[file] = { signature: now, ...fresh };
      this.#changed = true;
    }
    return fresh;
  }

  /** What `digestDirectory` gives, without reading any file of a directory in which nothing was touched. */
  directory(folder: string, permissions: 'exact' | 'normal'): string {
    const known = this.#load();
    const name = `${permissions} ${folder}`;
    const before = lookOver(folder);
    const entry = known[name];
    if (entry?.signature === before.signature) return entry.sha256;
    const fresh = digestDirectory(folder, permissions);
    if (Date.now() - before.newest > RACY_MS && lookOver(folder).signature === before.signature) {
      known[name] = { signature: before.signature, sha256: fresh, size: before.entries };
      this.#changed = true;
    }
    return fresh;
  }

  /** Writes down what was learnt. A lost race with another process only costs reading a file again. */
  save(): void {
    if (this.#changed) remember(this.#file, this.#known!);
    this.#changed = false;
  }

  #load(): Known {
    this.#known ??= readChecked<Known>(this.#file) ?? {};
    return this.#known;
  }
}

/** What tells that nothing below a directory was touched, and when something last was: milliseconds since 1970. */
function lookOver(folder: string): { signature: string; newest: number; entries: number } {
  let newest = 0;
  const lines = walk(folder).map(({ path: name, type }) => {
    const { mode, size, mtimeNs, ctimeNs, mtimeMs, ctimeMs, ino } = lstatSync(path.join(folder, name), {
      bigint: true,
    });
    newest = Math.max(newest, Number(mtimeMs), Number(ctimeMs));
    // The size and times of a directory say nothing that its entries do not.
    return type === 'directory' ? `${name} ${mode}` : `${name} ${type} ${mode} ${size} ${mtimeNs} ${ctimeNs} ${ino}`;
  });
  return { signature: sha256(lines.join('\n')), newest, entries: lines.length };
}

/**
 * What a directory is, for a key: the type of each entry, the permissions that matter (all bits if `permissions` is
 * `exact`, whether the owner may execute it if `normal`), and the digest of each file and link.
 */
export function digestDirectory(folder: string, permissions: 'exact' | 'normal'): string {
  const lines = walk(folder).map((entry) => {
    const file = path.join(folder, entry.path);
    const mode = hostMode(file, permissions);
    const content =
      entry.type === 'file' ? sha256(readFileSync(file)) : entry.type === 'symlink' ? readlinkSync(file) : '';
    return JSON.stringify([entry.path, entry.type, mode, content]);
  });
  return sha256(lines.join('\n'));
}

/**
 * The mode that a file of the host gets in an image. `normal` keeps of it only what version control keeps: whether it
 * may be executed; so the umask of whoever checked it out does not matter.
 */
export function hostMode(file: string, permissions: 'exact' | 'normal'): number {
  const stat = lstatSync(file);
  if (permissions === 'exact') return stat.mode & 0o7777;
  if (stat.isSymbolicLink()) return 0o777;
  return stat.isDirectory() || stat.mode & 0o100 ? 0o755 : 0o644;
}

/** Whether there is such a directory. */
export function isDirectory(folder: string): boolean {
  try {
    return statSync(folder).isDirectory();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
