import type { Entry, FileEntry, Tree } from '../model/artifact.ts';

/** Questions that one asks of a tree. */

/** Code-unit order, which depends on no locale. A directory comes before what is in it. */
export function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

export function isFile(entry: Entry): entry is FileEntry {
  return entry.type === 'file';
}

/** The path of the directory that holds a path; undefined for the root. */
export function parentOf(path: string): string | undefined {
  if (path === '') return undefined;
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Two names of one inode have the same identity; anything else has its own. */
export function inodeOf(entry: Entry): string {
  if (entry.type !== 'file' || entry.hard === undefined) return `path:${entry.path}`;
  return `slice:${entry.content.blob}:${entry.content.offset}`;
}

/** The tree with every directory that its entries need, the root included. */
export function withParents(entries: Iterable<Entry>): Tree {
  const byName = new Map<string, Entry>();
  for (const entry of entries) byName.set(entry.path, entry);
  for (const path of [...byName.keys(), '']) {
    for (let at: string | undefined = path; at !== undefined && (at === path || !byName.has(at)); at = parentOf(at)) {
      if (!byName.has(at)) byName.set(at, { path: at, type: 'directory', mode: 0o755, uid: 0, gid: 0 });
    }
  }
  return [...byName.values()].sort(byPath);
}

/** The files of a tree, each inode once. */
function* inodesOfFiles(tree: Tree): Generator<FileEntry> {
  const seen = new Set<string>();
  for (const entry of tree.filter(isFile)) {
    const inode = inodeOf(entry);
    if (!seen.has(inode)) yield entry;
    seen.add(inode);
  }
}

/** The sizes of all files below each directory that is at most `depth` parts deep, largest first. */
export function largestDirectories(tree: Tree, most: number, depth = 3): { path: string; size: number }[] {
  const sizes = new Map<string, number>();
  for (const entry of inodesOfFiles(tree)) {
    const parts = entry.path.split('/').slice(0, -1).slice(0, depth);
    for (let n = 1; n <= parts.length; n++) {
      const directory = parts.slice(0, n).join('/');
      sizes.set(directory, (sizes.get(directory) ?? 0) + entry.content.size);
    }
  }
  return [...sizes]
    .map(([path, size]) => ({ path, size }))
    .sort((a, b) => b.size - a.size || byPath(a, b))
    .slice(0, most);
}
