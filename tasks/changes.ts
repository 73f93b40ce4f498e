import { byPath } from '../formats/tree.ts';
import type { Entry, FileEntry, Tree } from '../model/artifact.ts';
import type { BlobStore } from '../model/step.ts';

/**
 * The tree that a script left, of one that it was given. What it did not change keeps its entry, times and all; what it did
 * has no time of its own. `read` gives the contents of a file of `after`, in pieces; those that changed are stored.
 */
export async function changed(
  before: Tree,
  after: readonly Entry[],
  read: (file: FileEntry) => Iterable<Buffer>,
  store: BlobStore,
): Promise<Tree> {
  const known = new Map(before.map((entry) => [entry.path, entry]));
  const isKept = (entry: Entry) => {
    const old = known.get(entry.path);
    return old !== undefined && substance(old) === substance(entry);
  };
  // Names of one inode have one place.
  const fresh = new Map<string, FileEntry>();
  for (const entry of after) {
    if (entry.type === 'file' && !isKept(entry) && !fresh.has(placeOf(entry))) fresh.set(placeOf(entry), entry);
  }
  const offsets = new Map<string, number>();
  let size = 0;
  for (const [place, { content }] of fresh) {
    offsets.set(place, size);
    size += content.size;
  }
  const { digest: blob } = await store.putChunks(all([...fresh.values()], read));
  return after
    .map((entry): Entry => {
      if (isKept(entry)) return known.get(entry.path)!;
      const { mtime: _, ...rest } = entry;
      return rest.type === 'file'
        ? { ...rest, content: { ...rest.content, blob, offset: offsets.get(placeOf(rest))! } }
        : rest;
    })
    .sort(byPath);
}

function placeOf({ content: { blob, offset } }: FileEntry): string {
  return `${blob}:${offset}`;
}

async function* all(files: readonly FileEntry[], read: (file: FileEntry) => Iterable<Buffer>): AsyncGenerator<Buffer> {
  // Whoever reads may use its buffer again for the next piece.
  for (const file of files) for (const piece of read(file)) yield Buffer.from(piece);
}

/** All that an entry is but for its time and where its bytes lie. */
function substance(entry: Entry): string {
  const { mtime: _, ...rest } = entry;
  if (rest.type !== 'file') return JSON.stringify(rest, Object.keys(rest).sort());
  const { mode, uid, gid, content, hard = false } = rest;
  return JSON.stringify([mode, uid, gid, content.digest, hard]);
}
