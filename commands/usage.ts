import { statSync } from 'node:fs';
import type { VolumeEntry } from '../formats/volume.ts';
import { withImage } from './images.ts';
import { provenanceOf } from './origins.ts';
import type { Caller } from './session.ts';

/** A share of what fills an image; sizes in bytes of files. */
export interface Share {
  readonly name: string;
  readonly size: number;
  readonly files: number;
}

/** What fills an image, in bytes. */
export interface UsageReport {
  readonly file: string;
  readonly fs: string;
  /** What the file takes on the host, which holds no zeros, and what it seems to. */
  readonly onHost: number;
  readonly size: number;
  /** All files, each counted once however many names it has. */
  readonly contents: number;
  /** What the last block of each file leaves unused. */
  readonly slack: number;
  /** Tables of inodes, maps, directories, spare superblocks; and what the disk has in front of its partition and behind. */
  readonly tables: number;
  readonly free: number;
  readonly directories: readonly Share[];
  /** What brought the files; undefined if that is not known. */
  readonly layers: readonly Share[] | undefined;
}

/** What fills an image, by directory, down to `depth`, and by what brought it; the largest first. */
export async function usage(
  caller: Pick<Caller, 'folder'>,
  name: string,
  { arch, depth = 2 }: { arch?: string | undefined; depth?: number | undefined } = {},
): Promise<UsageReport> {
  return withImage(caller, name, arch, async (image) => {
    const { file, source, volume } = image;
    const made = await provenanceOf(image);
    const { form } = volume;
    const files = eachOnce(volume.entries());
    const contents = files.reduce((sum, { size }) => sum + size, 0);
    const slack = files.reduce((sum, { size }) => sum + Math.ceil(size / form.unit) * form.unit - size, 0);
    const origins = made?.origins;
    return {
      file,
      fs: form.name,
      onHost: statSync(file).blocks * 512,
      size: source.size,
      contents,
      slack,
      free: form.free,
      tables: Math.max(0, source.size - contents - slack - form.free),
      directories: shares(files, ({ path }) => prefixes(path, depth)),
      layers: origins && shares(files, ({ path }) => [origins.get(path) ?? 'nothing that is known']),
    };
  });
}

function eachOnce(entries: readonly VolumeEntry[]): VolumeEntry[] {
  const seen = new Set<number>();
  return entries.filter(({ type, inode }) => type === 'file' && !seen.has(inode) && seen.add(inode));
}

/** The directories that a file is in, down to a depth; the root is not one of them. */
function prefixes(path: string, depth: number): string[] {
  const parts = path.split('/').slice(0, -1).slice(0, depth);
  return parts.map((_, n) => `/${parts.slice(0, n + 1).join('/')}`);
}

function shares(files: readonly VolumeEntry[], namesOf: (file: VolumeEntry) => readonly string[]): Share[] {
  const found = new Map<string, Share>();
  for (const file of files) {
    for (const name of namesOf(file)) {
      const { size, files: count } = found.get(name) ?? { size: 0, files: 0 };
      found.set(name, { name, size: size + file.size, files: count + 1 });
    }
  }
  return [...found.values()].sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
}
