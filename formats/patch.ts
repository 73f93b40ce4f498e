import { type Disk, isSameForm, tablesOf, writeInodes } from './disk.ts';
import { rangesOf } from './filesystem.ts';
import type { Contents } from './filewriter.ts';
import { PARTITION_START } from './gpt.ts';
import { directoryBytes, type Inode } from './inodes.ts';
import { SECTOR, Sectors } from './sectors.ts';
import type { BlockSink, Extent } from './sink.ts';

/** What makes one disk into another of the same form: only what differs is written. */

/** Beyond this, writing the disk anew is as fast, and leaves its holes. */
const LARGEST_PATCH = 64 * 1024 ** 2;

/**
 * The extents to write, in order, on a disk that is exactly `before`, so that it is exactly `after`. Undefined if the two
 * are not of one form, or too much differs.
 */
export async function patchOf(before: Disk, after: Disk, contents: Contents): Promise<Extent[] | undefined> {
  if (!isSameForm(before, after)) return undefined;
  // What both have as the same object is not looked at.
  const [former, latter] = [before.layout.inodes, after.layout.inodes];
  const gone = former.filter((inode, n) => inode !== latter[n]);
  const come = latter.filter((inode, n) => inode !== former[n]);
  const stale = new Sectors(before.size);
  const old = new Map<number, Buffer>();
  for (const { position, bytes } of tablesOf(before)) {
    old.set(position, bytes);
    stale.mark(position, position + bytes.length);
  }
  const unlike = new Map<number, Inode>();
  for (const inode of gone) {
    if (inode.data.length > 0) unlike.set(inode.data[0]!, inode);
    markInode(stale, inode, before, true);
  }

  const tables: Extent[] = [];
  for (const extent of tablesOf(after)) {
    const { position, bytes } = extent;
    const isSame = old.get(position)?.equals(bytes) ?? false;
    if (!isSame) tables.push(extent);
    // What is written anew may end within a sector: the rest of that is blanked first.
    stale.clear(position, isSame ? position + bytes.length : Math.floor((position + bytes.length) / SECTOR) * SECTOR);
  }
  const changed: Inode[] = [];
  for (const inode of come) {
    if (inode.data.length === 0) continue;
    if (!isSameContent(unlike.get(inode.data[0]!), inode, after)) changed.push(inode);
    markInode(stale, inode, after, false);
  }
  const blank = stale.ranges();
  const size =
    changed.reduce((sum, inode) => sum + inode.size, 0) + blank.reduce((sum, [from, to]) => sum + to - from, 0);
  if (size > LARGEST_PATCH) return undefined;
  const patch = new Gathering();
  for (const [from, to] of blank) await patch.write(from, Buffer.alloc(to - from));
  for (const { position, bytes } of tables) await patch.write(position, bytes);
  await writeInodes(after, changed, contents, patch);
  return patch.extents;
}

function markInode(sectors: Sectors, inode: Inode, { layout }: Disk, isStale: boolean): void {
  for (const [from, to] of rangesOf(inode, layout.form)) {
    if (isStale) sectors.mark(PARTITION_START + from, PARTITION_START + to);
    else sectors.clear(PARTITION_START + from, PARTITION_START + to);
  }
}

/** Whether an inode has its contents already: the same bytes in the same blocks. */
function isSameContent(old: Inode | undefined, now: Inode, { layout }: Disk): boolean {
  if (old === undefined || old.size !== now.size || !isSameList(old.data, now.data)) return false;
  if (old.indirect.some(({ block }, n) => block !== now.indirect[n]?.block)) return false;
  const [a, b] = [old.entry, now.entry];
  if (a.type === 'file' && b.type === 'file') return a.content.digest === b.content.digest;
  if (a.type === 'symlink' && b.type === 'symlink') return a.target === b.target;
  const { directories } = layout.form;
  return a.type === b.type && directoryBytes(old, directories).equals(directoryBytes(now, directories));
}

function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, n) => value === b[n]);
}

/** A sink that keeps copies of what is written. */
class Gathering implements BlockSink {
  readonly extents: Extent[] = [];

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.extents.push({ position, bytes: Buffer.from(bytes) });
  }
}
