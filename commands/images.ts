import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parentOf } from '../formats/tree.ts';
import { Volume, type VolumeEntry } from '../formats/volume.ts';
import { BrokenVolume } from '../formats/volumeform.ts';
import { isFile } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import { Project } from '../manifest/project.ts';
import * as problems from '../model/problems.ts';
import { chooseArch } from '../plan/target.ts';
import type { Caller } from './session.ts';

/** An image that somebody looks into. */
export interface OpenImage {
  /** As it was named. */
  readonly name: string;
  readonly file: string;
  readonly source: ImageFile;
  readonly volume: Volume;
  /** The project that it was looked for from, if any. */
  readonly project: Project | undefined;
}

/** The links that are followed from one path at most, as in NetBSD (sys/param.h: MAXSYMLINKS). */
const MOST_LINKS = 32;

type Where = Pick<Caller, 'folder'>;

/**
 * The file of an image that is named by its path, by its target (`rescue-i386`) or by its service, for an architecture.
 * Throws `no-such-image`.
 */
export async function findImage({ folder }: Where, name: string, arch?: string): Promise<string> {
  const file = path.resolve(folder, name);
  if (isFile(file)) return file;
  if (!Project.has(folder)) throw problems.noSuchImage(name, [], false);
  const project = await Project.find(folder);
  const target = `${name}-${await chooseArch(project, arch)}`;
  const found = [target, name].map((each) => path.join(project.images, `${each}.img`)).find(isFile);
  if (found !== undefined) return found;
  throw problems.noSuchImage(name, imagesOf(project), project.services().includes(name));
}

/** The names of the images that a project has, without their ending. */
export function imagesOf({ images }: Project): string[] {
  const names = existsSync(images) ? readdirSync(images).filter((each) => each.endsWith('.img')) : [];
  return names.map((each) => path.basename(each, '.img'));
}

/** Opens an image for a while. Throws `no-such-image` and `broken-image`, also for what `use` finds broken. */
export async function withImage<T>(
  caller: Where,
  name: string,
  arch: string | undefined,
  use: (image: OpenImage) => T | Promise<T>,
): Promise<T> {
  const file = await findImage(caller, name, arch);
  using source = new ImageFile(file);
  try {
    const project = Project.has(caller.folder) ? await Project.find(caller.folder) : undefined;
    return await use({ name, file, source, volume: Volume.open(source), project });
  } catch (error) {
    if (error instanceof BrokenVolume) throw problems.brokenImage(path.relative(caller.folder, file), error.message);
    throw error;
  }
}

/** What an image has at a path: the entries of a directory, or of all below it; or else the one entry. */
export async function list(
  caller: Where,
  name: string,
  at: string,
  { arch, recursive = false }: { arch?: string | undefined; recursive?: boolean | undefined } = {},
): Promise<VolumeEntry[]> {
  return withImage(caller, name, arch, ({ volume }) => {
    const entries = volume.entries();
    const entry = lookUp(entries, at, name, { followLast: false });
    if (entry.type !== 'directory') return [entry];
    const below = entry.path === '' ? '' : `${entry.path}/`;
    return entries.filter(({ path: each }) =>
      recursive ? each !== '' && each.startsWith(below) : parentOf(each) === entry.path,
    );
  });
}

/** Gives the contents of a file of an image to `write`, piece by piece. Throws `no-such-path` and `not-a-file`. */
export async function cat(
  caller: Where,
  name: string,
  at: string,
  arch: string | undefined,
  write: (piece: Buffer) => Promise<void>,
): Promise<void> {
  await withImage(caller, name, arch, async ({ volume }) => {
    const entry = lookUp(volume.entries(), at, name, { followLast: true });
    if (entry.type !== 'file') throw problems.notAFile(name, entry.path, entry.type);
    for (const piece of volume.pieces(entry)) await write(piece);
  });
}

/** The entry at a path, by way of symbolic links. */
function lookUp(
  entries: readonly VolumeEntry[],
  wanted: string,
  image: string,
  { followLast }: { followLast: boolean },
): VolumeEntry {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  let rest = wanted.split('/');
  let at: string[] = [];
  for (let links = 0; ; ) {
    const part = rest.shift();
    if (part === undefined) return byPath.get(at.join('/'))!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at.pop();
      continue;
    }
    const found = byPath.get([...at, part].join('/'));
    if (found === undefined) {
      const plain = path.posix.join('/', wanted).slice(1).replace(/\/$/, '');
      throw problems.noSuchPath(image, plain, [...byPath.keys()]);
    }
    const isLast = rest.every((each) => each === '');
    if (found.type === 'symlink' && (!isLast || followLast) && links++ < MOST_LINKS) {
      if (found.target.startsWith('/')) at = [];
      rest = [...found.target.split('/'), ...rest];
    } else at.push(part);
  }
}
