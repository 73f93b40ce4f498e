import type { KeyRecord } from '../cache/records.ts';
import { inputsOf } from '../engine/keyed.ts';
import { byPath, nameOf, parentOf } from '../formats/tree.ts';
import {
  DIRECTORY,
  endOf,
  find,
  GID,
  homesOf,
  indexOf,
  joined,
  lowerBound,
  MODE,
  MTIME,
  NO_TIME,
  NTH,
  NUMBERS,
  newestTime,
  pathOf,
  type Span,
  SYMLINK,
  setNumber,
  TYPE,
  TYPES,
  UID,
} from '../formats/treeindex.ts';
import type { Digest, TreeArtifact } from '../model/artifact.ts';
import type { TreeIndex } from '../model/extents.ts';
import { layerConflict, unmatchedFile, unsupportedEntry } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

/** The time of everything where neither the manifest nor any archive has one: 2026-01-01. */
const FALLBACK_TIME = 1_767_225_600;

type Attributes = { readonly mode?: string | undefined; readonly owner?: string | undefined };

interface Options {
  /** What people call the inputs, in the order in which they are laid over each other. */
  readonly layers: readonly string[];
  /** Modes and owners to change, by path. */
  readonly files: Readonly<Record<string, Attributes>>;
  /** Seconds since 1970; later times become this one. */
  readonly sourceDate?: number | undefined;
}

/** Trees laid over each other. A file replaces a file; a directory that is there already keeps what it is. */
export const compose: Task = {
  kind: 'compose',
  version: 2,
  summary: 'trees laid over each other',
  pool: 'cpu',
  async run({ options, inputs, store }: StepContext) {
    const { layers, files, sourceDate } = options as unknown as Options;
    const pile: Layer[] = [];
    for (const [n, label] of layers.entries()) {
      pile.push({ label, index: await store.readIndex(inputs[inputName(n)] as TreeArtifact) });
    }
    for (const layer of pile) checkEntries(layer);
    const tree = withParents(pile);
    setAttributes(tree, files);
    setTimes(tree, sourceDate);
    return store.putIndex(tree);
  },
};

/** The layers with what people call them, lowest first. */
export function composeStep(
  name: string,
  layers: readonly { readonly label: string; readonly tree: Step }[],
  options: Omit<Options, 'layers'>,
): Step {
  return {
    name: `compose ${name}`,
    task: compose,
    options: { ...options, files: { ...options.files }, layers: layers.map(({ label }) => label) },
    inputs: Object.fromEntries(layers.map(({ tree }, n) => [inputName(n), tree])),
  };
}

/** The layers of what a step composed, lowest first: what people call them, and the digests of their trees. */
export function layersOf(record: KeyRecord): { readonly label: string; readonly tree: Digest }[] {
  const inputs = inputsOf(record);
  const { layers } = record.parts.options as unknown as Options;
  return layers.map((label, n) => ({ label, tree: inputs[inputName(n)]! }));
}

function inputName(n: number): string {
  return `layer ${String(n).padStart(3, '0')}`;
}

/** What the file systems of the guests have room for: limits.h's NAME_MAX, and PATH_MAX of NetBSD, in bytes. */
const NAME_MAX = 255;
const TARGET_MAX = 1023;

interface Layer {
  readonly label: string;
  readonly index: TreeIndex;
}

function checkEntries({ label, index }: Layer): void {
  let start = 0;
  for (let n = 0; n < index.length; n++) {
    const end = endOf(index, n);
    const length = end - start;
    start = end;
    // No name is longer than its path.
    if (length > NAME_MAX && Buffer.byteLength(nameOf(pathOf(index, n))) > NAME_MAX) {
      throw unsupportedEntry(label, pathOf(index, n), `a name of more than ${NAME_MAX} bytes`);
    }
    if (index.numbers[n * NUMBERS + TYPE] !== SYMLINK) continue;
    const target = index.targets[index.numbers[n * NUMBERS + NTH]!]!;
    if (target === '' || Buffer.byteLength(target) > TARGET_MAX) {
      const what = `a link whose target is empty or of more than ${TARGET_MAX} bytes`;
      throw unsupportedEntry(label, pathOf(index, n), what);
    }
  }
}

/** The layers laid over each other, with the root and every directory that is needed, which need not be in any of them. */
function withParents(pile: readonly Layer[]): TreeIndex {
  const hasRoot = pile.some(({ index }) => find(index, '') !== undefined);
  const tree = laid(hasRoot ? pile : [directories(['']), ...pile]);
  const orphans = new Set<string>();
  const { parents } = homesOf(tree);
  for (let n = 1; n < tree.length; n++) if (parents[n] === -1) orphans.add(pathOf(tree, n));
  if (orphans.size === 0) return tree;
  const missing = new Set<string>();
  for (const path of orphans) {
    for (let at = parentOf(path)!; ; at = parentOf(at)!) {
      const found = find(tree, at);
      if (found === undefined) missing.add(at);
      else if (tree.numbers[found * NUMBERS + TYPE] === DIRECTORY) break;
      else throw fileWithEntries(at, path, pile);
    }
  }
  return laid([directories([...missing]), { label: '', index: tree }]);
}

/** A layer of directories as they are if nobody says anything of them. */
function directories(paths: readonly string[]): Layer {
  const entries = paths.map((path) => ({ path, type: 'directory' as const, mode: 0o755, uid: 0, gid: 0 }));
  return { label: '', index: indexOf(entries.sort(byPath)) };
}

/** Layers laid over each other, the lowest first. */
function laid(pile: readonly Layer[]): TreeIndex {
  const heads = pile.map((layer): Head => ({ layer, at: 0, path: pathAt(layer, 0) }));
  const spans: Span[] = [];
  const take = ({ layer: { index }, at: from }: Head, to: number) => spans.push({ index, from, to });
  const move = (head: Head, to: number) => {
    head.at = to;
    head.path = pathAt(head.layer, to);
  };
  for (;;) {
    const [path, next] = firstPaths(heads);
    if (path === undefined) return joined(spans);
    const here = heads.filter((head) => head.path === path);
    if (here.length === 1) {
      // All that comes before anything of another layer.
      const [head] = here as [Head];
      const { index } = head.layer;
      const to = next === undefined ? index.length : lowerBound(index, next, head.at + 1);
      take(head, to);
      move(head, to);
      continue;
    }
    const top = here.reduce(above);
    take(top, top.at + 1);
    for (const head of here) move(head, head.at + 1);
  }
}

/** How far one has come in a layer. */
interface Head {
  readonly layer: Layer;
  at: number;
  /** Of the entry there; undefined at the end. */
  path: string | undefined;
}

function pathAt({ index }: Layer, n: number): string | undefined {
  return n < index.length ? pathOf(index, n) : undefined;
}

/** The first path of all, and the first of those that are not the same. */
function firstPaths(heads: readonly Head[]): [string | undefined, string | undefined] {
  let first: string | undefined;
  let second: string | undefined;
  for (const { path } of heads) {
    if (path === undefined || path === first) continue;
    if (first === undefined || path < first) [first, second] = [path, first];
    else if (second === undefined || path < second) second = path;
  }
  return [first, second];
}

/** Which of two entries with the same path is seen, the second of which is laid over the first. */
function above(hidden: Head, entry: Head): Head {
  const [below, type] = [numberAt(hidden, TYPE), numberAt(entry, TYPE)];
  if (below !== type && (below === DIRECTORY || type === DIRECTORY)) {
    throw layerConflict(entry.path!, entry.layer.label, TYPES[type]!, hidden.layer.label, TYPES[below]!);
  }
  // Only an archive, whose entries have times, says what a directory is to be.
  return type === DIRECTORY && numberAt(entry, MTIME) === NO_TIME ? hidden : entry;
}

function numberAt({ layer: { index }, at }: Head, which: number): number {
  return index.numbers[at * NUMBERS + which]!;
}

/** One layer may have a file where another has a directory with entries, without an entry of its own. */
function fileWithEntries(file: string, child: string, pile: readonly Layer[]): Error {
  const side = (path: string) => pile.findLast(({ index }) => find(index, path) !== undefined)!;
  const [of, within] = [side(file), side(child)];
  const type = TYPES[of.index.numbers[find(of.index, file)! * NUMBERS + TYPE]!]!;
  return pile.indexOf(within) >= pile.indexOf(of)
    ? layerConflict(file, within.label, 'directory', of.label, type)
    : layerConflict(file, of.label, type, within.label, 'directory');
}

function setAttributes(tree: TreeIndex, files: Readonly<Record<string, Attributes>>): void {
  for (const [path, { mode, owner }] of Object.entries(files)) {
    const n = find(tree, path.replace(/^\/+|\/+$/g, ''));
    if (n === undefined) throw unmatchedFile(path);
    if (mode !== undefined) setNumber(tree, n, MODE, Number.parseInt(mode, 8));
    if (owner === undefined) continue;
    const [uid, gid] = owner.split(':').map(Number);
    setNumber(tree, n, UID, uid!);
    setNumber(tree, n, GID, gid!);
  }
}

/** Gives a time to what has none, and that time to what is later: the newest one if none is given. */
function setTimes(tree: TreeIndex, sourceDate: number | undefined): void {
  const { numbers } = tree;
  const newest = sourceDate ?? newestTime(tree);
  const time = newest === 0 ? FALLBACK_TIME : newest;
  for (let at = MTIME; at < numbers.length; at += NUMBERS) {
    if (numbers[at] === NO_TIME || numbers[at]! > time) numbers[at] = time;
  }
}
