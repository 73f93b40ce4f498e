import { firstDifference } from '../engine/reproduce.ts';
import { ownerOf } from '../formats/disk.ts';
import { diffTrees, type PathChange } from '../formats/treediff.ts';
import { pieces } from '../host/files.ts';
import type { Tree } from '../model/artifact.ts';
import { type OpenImage, withImage } from './images.ts';
import { provenanceOf } from './origins.ts';
import type { Caller } from './session.ts';

/** What is different at a path of two images, and what brought it there, if that is known. */
export interface ImageChange extends Omit<PathChange, 'change'> {
  readonly change: PathChange['change'] | 'time';
  readonly origins: { readonly before?: string | undefined; readonly after?: string | undefined };
}

export interface ImageDiff {
  readonly changes: readonly ImageChange[];
  /** Where images whose trees are equal differ all the same: the first byte, and what it belongs to, if that is known. */
  readonly byte?: { readonly position: number; readonly where: string | undefined } | undefined;
}

/** What differs between two images. Throws `no-such-image` and `broken-image`. */
export async function diff(
  caller: Pick<Caller, 'folder'>,
  [before, after]: readonly [string, string],
  arch?: string,
): Promise<ImageDiff> {
  return withImage(caller, before, arch, (a) => withImage(caller, after, arch, (b) => diffImages(a, b)));
}

async function diffImages(a: OpenImage, b: OpenImage): Promise<ImageDiff> {
  const [before, after] = [a.volume.tree(), b.volume.tree()];
  const made = await Promise.all([a, b].map(provenanceOf));
  const differing = diffTrees(before, after);
  const changes = [...differing, ...touched(before, after, differing)];
  if (changes.length > 0) {
    const origins = ({ path }: { path: string }) => ({
      before: made[0]?.origins.get(path),
      after: made[1]?.origins.get(path),
    });
    return { changes: changes.map((change) => ({ ...change, origins: origins(change) })) };
  }
  const position = await firstDifference(pieces(a.file), pieces(b.file));
  if (position === undefined) return { changes: [] };
  return { changes: [], byte: { position, where: made[1] && ownerOf(made[1].map, made[1].tree, position) } };
}

/** What differs in nothing but its time. */
function touched(before: Tree, after: Tree, differing: readonly PathChange[]): Omit<ImageChange, 'origins'>[] {
  const changed = new Set(differing.map(({ path }) => path));
  const old = new Map(before.map((entry) => [entry.path, entry]));
  return after.flatMap((entry) => {
    const was = old.get(entry.path);
    if (was === undefined || was.mtime === entry.mtime || changed.has(entry.path)) return [];
    return [{ path: entry.path, change: 'time' as const, before: was, after: entry }];
  });
}
