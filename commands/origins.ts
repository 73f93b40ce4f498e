import path from 'node:path';
import { type KeyRecord, Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { History } from '../engine/history.ts';
import { inputsOf } from '../engine/keyed.ts';
import { diffTrees } from '../formats/treediff.ts';
import { cacheRoot } from '../host/paths.ts';
import type { Digest, Tree } from '../model/artifact.ts';
import type { ExtentMap } from '../model/extents.ts';
import { CorruptBlob } from '../model/step.ts';
import { builder } from '../tasks/builder.ts';
import { compose, layersOf } from '../tasks/compose.ts';
import { imageStepName } from '../tasks/image.ts';
import { script } from '../tasks/script.ts';
import type { OpenImage } from './images.ts';

/** How an image of a project was made the last time. */
export interface Provenance {
  readonly tree: Tree;
  /** What lies where in it. */
  readonly map: ExtentMap;
  readonly store: Store;
  /** What brought each path, in words. */
  readonly origins: ReadonlyMap<string, string>;
}

/** How an image was made; undefined if it is not one of the project's, or the cache has lost what it was made of. */
export async function provenanceOf({ file, project }: OpenImage): Promise<Provenance | undefined> {
  if (project === undefined || path.dirname(path.resolve(file)) !== project.images) return undefined;
  const cache = cacheRoot();
  const [store, records] = [new Store(cache), new Records(cache)];
  const history = new History(path.join(project.state, 'history'));
  const key = history.get(imageStepName(path.basename(file, '.img')))?.key;
  const record = key === undefined ? undefined : records.read(key);
  if (key === undefined || record === undefined) return undefined;
  const { tree: digest, layout } = inputsOf(record);
  if (digest === undefined || layout === undefined) return undefined;
  try {
    const tree = await store.readTree({ digest });
    const origins = await originsOf(digest, tree, composed(history, records), store);
    return { tree, map: await store.readMap({ digest: layout }), store, origins };
  } catch (error) {
    if (error instanceof CorruptBlob) return undefined;
    throw error;
  }
}

/** The records of all that was composed in the last builds, by the digests of what came of it. */
function composed(history: History, records: Records): ReadonlyMap<Digest, KeyRecord> {
  const found = history
    .names()
    .flatMap((name) => records.read(history.get(name)?.key ?? '') ?? [])
    .filter(
      (record) =>
        record.parts.task === compose.kind ||
        // A script that changed nothing brought nothing.
        (isScript(record) && inputsOf(record).tree !== record.output.digest),
    );
  return new Map(found.map((record) => [record.output.digest, record]));
}

/** Whether a record is of a script, wherever that ran. */
function isScript({ parts }: KeyRecord): boolean {
  return parts.task === script.kind || parts.task === builder.kind;
}

/** What a script changed comes from it; all else from where it came before. */
async function originsAfterScript(
  record: KeyRecord,
  tree: Tree,
  records: ReadonlyMap<Digest, KeyRecord>,
  store: Store,
): Promise<Map<string, string>> {
  const digest = inputsOf(record).tree!;
  const before = await store.readTree({ digest });
  const origins = await originsOf(digest, before, records, store);
  for (const { path: at } of diffTrees(before, tree))
    origins.set(at, (record.parts.options as { label: string }).label);
  return origins;
}

/** What brought each path of a tree: the highest layer that has it, or of a directory the lowest. */
async function originsOf(
  digest: Digest,
  tree: Tree,
  records: ReadonlyMap<Digest, KeyRecord>,
  store: Store,
): Promise<Map<string, string>> {
  const origins = new Map<string, string>();
  const record = records.get(digest);
  if (record === undefined) return origins;
  if (isScript(record)) return originsAfterScript(record, tree, records, store);
  const isDirectory = new Set(tree.filter(({ type }) => type === 'directory').map((entry) => entry.path));
  for (const { label, tree: layer } of layersOf(record)) {
    const below = await store.readTree({ digest: layer });
    // What is composed of one layer alone may be that layer.
    const finer = layer === digest ? new Map<string, string>() : await originsOf(layer, below, records, store);
    for (const { path: at } of below) {
      if (!origins.has(at) || !isDirectory.has(at)) origins.set(at, finer.get(at) ?? label);
    }
  }
  return origins;
}
