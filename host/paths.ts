import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where things are on this host. */

let root: string | undefined;

/** The folder of the smol package itself, with services, sets, kernels and schemas. */
export function packageRoot(): string {
  if (root === undefined) {
    let folder = path.dirname(fileURLToPath(import.meta.url));
    while (!existsSync(path.join(folder, 'schema', 'service.schema.json'))) folder = path.dirname(folder);
    root = folder;
  }
  return root;
}

/** smol's version, as in its package.json. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** The words that start smol as this process was started. */
export function ownCommand(): string[] {
  return [process.execPath, process.argv[1]!];
}

/** Where the cache is: $SMOL_CACHE, else smol/ in the XDG cache directory. */
export function cacheRoot(): string {
  const base = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
  return path.resolve(process.env.SMOL_CACHE || path.join(base, 'smol'));
}

/** Where what is not of any project is kept: smol/ in the XDG state directory. */
export function stateRoot(): string {
  return path.resolve(process.env.XDG_STATE_HOME || path.join(os.homedir(), '.local', 'state'), 'smol');
}

/** The folder at or above `from` that has a file of that name. */
export function findUpwards(name: string, from: string): string | undefined {
  for (let folder = path.resolve(from); ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, name))) return folder;
    if (folder === path.dirname(folder)) return undefined;
  }
}
