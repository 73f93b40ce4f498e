import type { KeyRecord } from '../cache/records.ts';
import { inputsOf } from '../engine/keyed.ts';
import { nameOf, orphansOf, parentOf, withParents } from '../formats/tree.ts';
import type { Digest, Entry, Tree, TreeArtifact } from '../model/artifact.ts';
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
  version: 1,
  summary: 'trees laid over each other',
  pool: 'cpu',
  async run({ options, inputs, store }: StepContext) {
    const { layers, files, sourceDate } = options as unknown as Options;
    const pile: Layer[] = [];
    for (const [n, label] of layers.entries()) {
      pile.push({ label, tree: await store.readTree(inputs[inputName(n)] as TreeArtifact) });
    }
    const laid = pile.reduce<Tree>((below, layer) => lay(below, layer, pile), []);
    const orphans = orphansOf(laid);
    refuseFilesWithEntries(orphans, laid, pile);
    const owned = withAttributes(laid, files);
    const tree = orphans.length === 0 && owned[0]?.path === '' ? owned : withParents(owned);
    const date = sourceDate ?? tree.reduce((newest, entry) => Math.max(newest, entry.mtime ?? 0), 0);
    const time = date === 0 ? FALLBACK_TIME : date;
    return store.putTree(tree.map((entry) => ((entry.mtime ?? Infinity) <= time ? entry : { ...entry, mtime: time })));
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
  readonly tree: Tree;
}

/** A layer over what is below it. */
function lay(below: Tree, { label, tree }: Layer, pile: readonly Layer[]): Tree {
  const laid: Entry[] = [];
  let next = 0;
  for (const entry of tree) {
    checkEntry(entry, label);
    while (next < below.length && below[next]!.path < entry.path) laid.push(below[next++]!);
    const hidden = below[next]?.path === entry.path ? below[next++] : undefined;
    if (hidden === undefined) {
      laid.push(entry);
      continue;
    }
    const directories = [entry, hidden].filter(({ type }) => type === 'directory').length;
    if (directories === 1) {
      throw layerConflict(entry.path, label, entry.type, layerWith(hidden, pile).label, hidden.type);
    }
    // Only an archive, whose entries have times, says what a directory is to be.
    laid.push(directories === 2 && entry.mtime === undefined ? hidden : entry);
  }
  while (next < below.length) laid.push(below[next++]!);
  return laid;
}

function checkEntry(entry: Entry, layer: string): void {
  // No name is longer than its path.
  if (Buffer.byteLength(entry.path) > NAME_MAX && Buffer.byteLength(nameOf(entry.path)) > NAME_MAX) {
    throw unsupportedEntry(layer, entry.path, `a name of more than ${NAME_MAX} bytes`);
  }
  if (entry.type === 'symlink' && (entry.target === '' || Buffer.byteLength(entry.target) > TARGET_MAX)) {
    throw unsupportedEntry(layer, entry.path, `a link whose target is empty or of more than ${TARGET_MAX} bytes`);
  }
}

/** One layer may have a file where another has a directory with entries, without an entry of its own. */
function refuseFilesWithEntries(orphans: readonly Entry[], tree: Tree, pile: readonly Layer[]): void {
  const parents = new Map(orphans.map((entry) => [parentOf(entry.path), entry]));
  if (parents.size === 0) return;
  for (const file of tree) {
    const child = parents.get(file.path);
    if (child === undefined) continue;
    const [below, above] = [file, child]
      .map((entry) => ({ layer: layerWith(entry, pile), type: entry === file ? file.type : 'directory' }))
      .sort((a, b) => pile.indexOf(a.layer) - pile.indexOf(b.layer)) as [Side, Side];
    throw layerConflict(file.path, above.layer.label, above.type, below.layer.label, below.type);
  }
}

type Side = { readonly layer: Layer; readonly type: string };

/** The layer that an entry of what was laid comes from. */
function layerWith(entry: Entry, pile: readonly Layer[]): Layer {
  return pile.findLast(({ tree }) => tree.includes(entry))!;
}

function withAttributes(tree: Tree, files: Readonly<Record<string, Attributes>>): Tree {
  const wanted = new Map(Object.entries(files).map(([path, file]) => [path.replace(/^\/+|\/+$/g, ''), { path, file }]));
  if (wanted.size === 0) return tree;
  const changed = tree.map((entry) => {
    const found = wanted.get(entry.path);
    wanted.delete(entry.path);
    return found === undefined ? entry : entryWith(entry, found.file);
  });
  for (const { path } of wanted.values()) throw unmatchedFile(path);
  return changed;
}

function entryWith(entry: Entry, { mode, owner }: Attributes): Entry {
  const [uid, gid] = owner === undefined ? [entry.uid, entry.gid] : owner.split(':').map(Number);
  return { ...entry, mode: mode === undefined ? entry.mode : Number.parseInt(mode, 8), uid: uid!, gid: gid! };
}
