import { isAscii } from 'node:buffer';
import type { Entry, Tree } from '../model/artifact.ts';

/** Trees as bytes. What a tree has in common with one that is at hand is neither parsed nor written again. */

const FIRST_LINE = '{"smol":"tree","version":1}\n';
const NEWLINE = 10;

/** A tree with its index: a first line with the version, then an entry a line, in order. */
export class IndexedTree {
  readonly tree: Tree;
  readonly index: Buffer;
  #lines: Uint32Array | undefined;

  constructor(tree: Tree, index: Buffer) {
    this.tree = tree;
    this.index = index;
  }

  /** Where the line of each entry begins, and where the last one ends. */
  get lines(): Uint32Array {
    if (this.#lines === undefined) {
      this.#lines = new Uint32Array(this.tree.length + 1).fill(this.index.length);
      let at = FIRST_LINE.length;
      for (let n = 0; n < this.tree.length; n++) {
        this.#lines[n] = at;
        at = this.index.indexOf(NEWLINE, at) + 1;
      }
    }
    return this.#lines;
  }
}

/** A tree with its index. Lines of entries that are in `like` too, the same objects, are taken from there. */
export function indexTree(tree: Tree, like?: IndexedTree): IndexedTree {
  const pieces: Buffer[] = [Buffer.from(FIRST_LINE)];
  let fresh: string[] = [];
  const known = like?.tree ?? [];
  let next = 0;
  for (let n = 0; n < tree.length; ) {
    const entry = tree[n]!;
    while (next < known.length && known[next]!.path < entry.path) next++;
    const first = next;
    while (next < known.length && n < tree.length && known[next] === tree[n]) {
      next++;
      n++;
    }
    if (next > first) {
      pieces.push(Buffer.from(fresh.join('')), like!.index.subarray(like!.lines[first], like!.lines[next]));
      fresh = [];
    } else {
      fresh.push(`${JSON.stringify(entry)}\n`);
      n++;
    }
  }
  return new IndexedTree(tree, Buffer.concat([...pieces, Buffer.from(fresh.join(''))]));
}

/** The tree that an index is of. Entries whose lines are in `like` too, if that is about as large, are the same objects. Throws a SyntaxError on anything else. */
export function parseIndex(index: Buffer, like?: IndexedTree): IndexedTree {
  const isIndex = index.toString('latin1', 0, FIRST_LINE.length) === FIRST_LINE && index.at(-1) === NEWLINE;
  if (!isIndex) throw new SyntaxError('this is no index of a tree');
  // Line by line takes longer: it must be likely that many lines are the same.
  const isLike = like !== undefined && 2 * like.index.length > index.length;
  return new IndexedTree(isLike ? entriesLike(index, like) : entriesOf(index), index);
}

function entriesOf(index: Buffer): Tree {
  // Most are ASCII, which takes a fraction of the time to read.
  const text = index.toString(isAscii(index) ? 'latin1' : 'utf8', FIRST_LINE.length, index.length - 1);
  return JSON.parse(`[${text.replaceAll('\n', ',')}]`) as Tree;
}

function entriesLike(index: Buffer, { tree, lines, index: known }: IndexedTree): Tree {
  const entries: Entry[] = [];
  let next = 0;
  for (let at = FIRST_LINE.length; at < index.length; ) {
    const end = index.indexOf(NEWLINE, at) + 1;
    const [from, to] = [lines[next]!, lines[next + 1]];
    if (to !== undefined && to - from === end - at && index.compare(known, from, to, at, end) === 0) {
      entries.push(tree[next++]!);
    } else {
      const entry = JSON.parse(index.toString('utf8', at, end)) as Entry;
      entries.push(entry);
      while (next < tree.length && tree[next]!.path <= entry.path) next++;
    }
    at = end;
  }
  return entries;
}
