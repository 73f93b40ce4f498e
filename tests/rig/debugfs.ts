import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** An image as e2fsprogs' debugfs(8) reads it: an oracle that shares no code with the writer. */
export interface FoundEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly inode: number;
  readonly sha256?: string;
  readonly target?: string;
}

const TYPES: Record<string, FoundEntry['type']> = { '10': 'file', '04': 'directory', '12': 'symlink' };
const OFFSET = 1024 * 1024;

/** All entries of the root partition by their paths, without a leading slash. */
export function readImage(image: string): Map<string, FoundEntry> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-debugfs-'));
  try {
    const found = new Map<string, FoundEntry>();
    for (let level = ['']; level.length > 0; ) {
      const next: string[] = [];
      const output = debugfs(
        image,
        folder,
        level.map((directory) => `ls -p "/${directory}"`),
      );
      for (const [n, listing] of output.entries()) {
        for (const line of listing.split('\n').filter((each) => each.startsWith('/'))) {
          const [, inode = '', mode = '', uid, gid, name = '', size] = line.split('/');
          if (name === '.' || name === '..' || inode === '0') continue;
          const at = level[n] === '' ? name : `${level[n]}/${name}`;
          const type = TYPES[mode.slice(0, 2)] ?? 'other';
          if (type === 'directory') next.push(at);
          const attributes = { mode: Number.parseInt(mode.slice(2), 8), uid: Number(uid), gid: Number(gid) };
          found.set(at, { type, ...attributes, size: Number(size), inode: Number(inode) });
        }
      }
      level = next;
    }
    return withContents(image, folder, found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function withContents(image: string, folder: string, found: Map<string, FoundEntry>): Map<string, FoundEntry> {
  const files = [...found].filter(([, { type }]) => type === 'file' || type === 'symlink');
  const inodes = [...new Set(files.map(([, { inode }]) => inode))];
  debugfs(
    image,
    folder,
    inodes.map((inode) => `dump <${inode}> ${folder}/${inode}`),
  );
  const links = files.filter(([, { type }]) => type === 'symlink');
  const stats = debugfs(
    image,
    folder,
    links.map(([, { inode }]) => `stat <${inode}>`),
  );
  const targets = new Map(
    links.map(([at, { inode }], n) => {
      const fast = /Fast link dest: "(.*)"/.exec(stats[n]!)?.[1];
      return [at, fast ?? readFileSync(path.join(folder, String(inode)), 'utf8')];
    }),
  );
  return new Map(
    [...found].map(([at, entry]) => {
      if (entry.type === 'symlink') return [at, { ...entry, target: targets.get(at)! }];
      if (entry.type !== 'file') return [at, entry];
      const sha256 = createHash('sha256')
        .update(readFileSync(path.join(folder, String(entry.inode))))
        .digest('hex');
      return [at, { ...entry, sha256 }];
    }),
  );
}

/** What each command prints. */
function debugfs(image: string, folder: string, commands: readonly string[]): string[] {
  if (commands.length === 0) return [];
  const script = path.join(folder, 'commands');
  writeFileSync(script, `${commands.join('\n')}\n`);
  const output = execFileSync('debugfs', ['-f', script, `${image}?offset=${OFFSET}`], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: toolsEnvironment(),
  });
  return output.split(/^debugfs: .*$/m).slice(1);
}

/** What is wrong with an image in the eyes of e2fsck(8) and sgdisk(8); empty if nothing is. */
export function checkImage(image: string): string {
  const run = (program: string, args: string[]) => {
    try {
      return execFileSync(program, args, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: toolsEnvironment(),
      });
    } catch (error) {
      return `FAILED ${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`;
    }
  };
  const e2fsck = run('e2fsck', ['-fn', `${image}?offset=${OFFSET}`]);
  const sgdisk = run('sgdisk', ['-v', image]);
  return [
    /FAILED|Fix\? no|error/i.test(e2fsck) ? e2fsck : '',
    sgdisk.includes('No problems found') && !/caution|warning/i.test(sgdisk) ? '' : sgdisk,
  ].join('');
}

/** The tools live in sbin, which is not on everybody's PATH. */
function toolsEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}

/** The texts of files in an image. */
export function textsOf(image: string, names: readonly string[]): string[] {
  return names.map((name) =>
    execFileSync('debugfs', ['-R', `cat "/${name}"`, `${image}?offset=${OFFSET}`], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: toolsEnvironment(),
    }),
  );
}
