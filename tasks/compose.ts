import type { KeyRecord } from '../cache/records.ts';
import { inputsOf } from '../engine/keyed.ts';
import { nameOf, parentOf, withParents } from '../formats/tree.ts';
import type { Digest, Entry, TreeArtifact } from '../model/artifact.ts';
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
  async run(context: StepContext) {
    const { layers, files, sourceDate } = context.options as unknown as Options;
    const merged = new Map<string, { entry: Entry; layer: string }>();
    for (const [n, layer] of layers.entries()) {
      const tree = await context.store.readTree(context.inputs[inputName(n)] as TreeArtifact);
      for (const entry of tree) lay(merged, entry, layer);
    }
    for (const [path, attributes] of Object.entries(files)) {
      const at = merged.get(path.replace(/^\/+|\/+$/g, ''));
      if (at === undefined) throw unmatchedFile(path);
      at.entry = withAttributes(at.entry, attributes);
    }
    const tree = withParents([...merged.values()].map(({ entry }) => entry));
    const date = sourceDate ?? tree.reduce((newest, entry) => Math.max(newest, entry.mtime ?? 0), 0);
    const time = date === 0 ? FALLBACK_TIME : date;
    return context.store.putTree(tree.map((entry) => ({ ...entry, mtime: Math.min(entry.mtime ?? time, time) })));
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

function lay(merged: Map<string, { entry: Entry; layer: string }>, entry: Entry, layer: string): void {
  if (Buffer.byteLength(nameOf(entry.path)) > NAME_MAX) {
    throw unsupportedEntry(layer, entry.path, `a name of more than ${NAME_MAX} bytes`);
  }
  if (entry.type === 'symlink' && (entry.target === '' || Buffer.byteLength(entry.target) > TARGET_MAX)) {
    throw unsupportedEntry(layer, entry.path, `a link whose target is empty or of more than ${TARGET_MAX} bytes`);
  }
  const below = merged.get(entry.path);
  if (below !== undefined) {
    const directories = [entry, below.entry].filter(({ type }) => type === 'directory').length;
    if (directories === 1) throw layerConflict(entry.path, layer, entry.type, below.layer, below.entry.type);
    // Only an archive, whose entries have times, says what a directory is to be.
    if (directories === 2 && entry.mtime === undefined) return;
  }
  const parent = merged.get(parentOf(entry.path) ?? '');
  if (parent !== undefined && parent.entry.type !== 'directory') {
    throw layerConflict(parent.entry.path, layer, 'directory', parent.layer, parent.entry.type);
  }
  merged.set(entry.path, { entry, layer });
}

function withAttributes(entry: Entry, { mode, owner }: Attributes): Entry {
  const [uid, gid] = owner === undefined ? [entry.uid, entry.gid] : owner.split(':').map(Number);
  return { ...entry, mode: mode === undefined ? entry.mode : Number.parseInt(mode, 8), uid: uid!, gid: gid! };
}
