// What a clone needs before it can run: npm packages and the compiled code, each made only when it is missing or old.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const SOURCES = 'cache cli commands engine fleet formats host manifest model plan registry report tasks vm web'.split(
  ' ',
);

/** Installs the npm packages if package-lock.json is newer than what is installed. */
export function installPackages() {
  const lock = path.join(root, 'package-lock.json');
  const installed = path.join(root, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.error('smol: installing npm packages (once)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Compiles if any source is newer than what was compiled. */
export function compile() {
  const entry = path.join(root, 'build', 'smol', 'main.js');
  if (existsSync(entry) && newest(SOURCES.map((folder) => path.join(root, folder))) <= statSync(entry).mtimeMs) return;
  run(process.execPath, [path.join(root, 'scripts', 'build.mjs')]);
}

/** The newest time of any file or folder below; that of a folder changes when a file in it goes. */
function newest(folders) {
  let time = 0;
  for (const folder of folders) {
    time = Math.max(time, statSync(folder).mtimeMs);
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const at = path.join(folder, entry.name);
      time = Math.max(time, entry.isDirectory() ? newest([at]) : statSync(at).mtimeMs);
    }
  }
  return time;
}

function run(program, args) {
  // Standard output belongs to the command that is to be run.
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`smol: set-up failed: ${program} ${args.join(' ')}${error ? `: ${error.message}` : ''}`);
  process.exit(3);
}
