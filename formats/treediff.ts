import type { Entry, Tree } from '../model/artifact.ts';

/** What is different at one path of two trees. */
export interface PathChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'content' | 'attributes';
  readonly before?: Entry | undefined;
  readonly after?: Entry | undefined;
}

/** The paths at which two trees differ, in order. Where in a blob a file lies does not count, nor do times. */
export function diffTrees(before: Tree, after: Tree): PathChange[] {
  const old = new Map(before.map((entry) => [entry.path, entry]));
  const now = new Map(after.map((entry) => [entry.path, entry]));
  const paths = [...new Set([...old.keys(), ...now.keys()])].sort();
  return paths.flatMap((path): PathChange[] => {
    const [a, b] = [old.get(path), now.get(path)];
    if (a === undefined) return [{ path, change: 'added', after: b }];
    if (b === undefined) return [{ path, change: 'removed', before: a }];
    if (substance(a) !== substance(b)) return [{ path, change: 'content', before: a, after: b }];
    const same = a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
    return same ? [] : [{ path, change: 'attributes', before: a, after: b }];
  });
}

function substance(entry: Entry): string {
  if (entry.type === 'file') return `file ${entry.content.digest}`;
  if (entry.type === 'symlink') return `symlink ${entry.target}`;
  return 'major' in entry ? `${entry.type} ${entry.major} ${entry.minor}` : entry.type;
}

/** How many lines of a text are others: those between what both have at their beginnings and at their ends. */
export function changedLines(before: string, after: string): number {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return Math.max(a.length, b.length) - start - end;
}
