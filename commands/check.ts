import { deviations } from '../formats/compare.ts';
import { ownerOf } from '../formats/disk.ts';
import { gptComplaints } from '../formats/gpt.ts';
import { ENTRY_TYPES, type MtreeEntry, parseMtree } from '../formats/mtree.ts';
import { numberOf, numbersOf } from '../formats/passwd.ts';
import type { Volume, VolumeEntry } from '../formats/volume.ts';
import type { Entry } from '../model/artifact.ts';
import { type OpenImage, withImage } from './images.ts';
import { type Provenance, provenanceOf } from './origins.ts';
import type { Caller } from './session.ts';

/** What was found out about an image. */
export interface CheckReport {
  readonly file: string;
  /** `FFSv2`. */
  readonly fs: string;
  readonly entries: number;
  /** What should not be. */
  readonly wrong: readonly string[];
  /** Whether every byte was compared with the tree that it was made of; else that is not known any more. */
  readonly compared: boolean;
  /** How many entries the manifests of sets in it describe. */
  readonly described: number;
  /** What another layer has put in the place of what a set brought, by path. */
  readonly replaced: ReadonlyMap<string, string>;
  /** What the manifests describe, but the image leaves out. */
  readonly absent: readonly string[];
}

/**
 * Checks an image: its GPT, its file system, every byte against the tree that it was made of, and what the manifests of
 * sets in it say. Throws `no-such-image` and `broken-image`.
 */
export async function check(caller: Pick<Caller, 'folder'>, name: string, arch?: string): Promise<CheckReport> {
  return withImage(caller, name, arch, async (image) => {
    const { volume, source, file } = image;
    const entries = volume.entries();
    const made = await provenanceOf(image);
    const found = describedBySets(volume, entries, made);
    return {
      file,
      fs: volume.form.name,
      entries: entries.length,
      wrong: [
        ...(volume.partition === undefined ? [] : gptComplaints(source)),
        ...volume.complaints(entries),
        ...(made === undefined ? [] : await deviationsFrom(made, image)),
        ...found.wrong,
      ],
      compared: made !== undefined,
      described: found.described,
      replaced: found.replaced,
      absent: found.absent,
    };
  });
}

/** Bytes that are not what the image was made to have. */
async function deviationsFrom({ tree, map, store }: Provenance, { source }: OpenImage): Promise<string[]> {
  if (source.size !== map.size) return [`it has ${source.size} bytes, and was made with ${map.size}`];
  const { signal } = new AbortController();
  const places = await deviations(map, (sink) => store.copy(map, sink, signal), source);
  return places.map(
    (position) => `byte ${position}, of ${ownerOf(map, tree, position)}, is not what it was made to be`,
  );
}

const MANIFEST = /^etc\/mtree\/set\.[^/]+$/;

/** What the manifests of sets say that is otherwise. What the layer of a manifest did not bring itself, it cannot tell. */
function describedBySets(volume: Volume, entries: readonly VolumeEntry[], made: Provenance | undefined) {
  const tree = volume.tree(entries);
  const byPath = new Map(tree.map((entry) => [entry.path, entry]));
  const inodes = new Map(entries.map(({ path, inode }) => [path, inode]));
  const text = (path: string) => {
    const inode = inodes.get(path);
    return inode === undefined ? '' : volume.contents({ inode }).toString();
  };
  const users = numbersOf(text('etc/master.passwd') || text('etc/passwd'), 'root');
  const groups = numbersOf(text('etc/group'), 'wheel');
  const wrong: string[] = [];
  const replaced = new Map<string, string>();
  const absent: string[] = [];
  let described = 0;
  for (const manifest of tree.filter(({ path, type }) => type === 'file' && MANIFEST.test(path))) {
    const own = made?.origins.get(manifest.path);
    // Of several names of one file the first one says what it is.
    const seen = new Set<number>();
    for (const expected of parseMtree(text(manifest.path))) {
      described++;
      const { path } = expected;
      const entry = byPath.get(path);
      if (entry === undefined) {
        if (!expected.optional) absent.push(path);
        continue;
      }
      const isFirst = !seen.has(inodes.get(path)!);
      seen.add(inodes.get(path)!);
      const differs = isFirst ? differences(entry, expected, users, groups) : [];
      if (differs.length === 0) continue;
      const by = made?.origins.get(path);
      if (by !== undefined && by !== own) replaced.set(path, by);
      else wrong.push(...differs.map((what) => `/${path}: ${what}, as /${manifest.path} says`));
    }
  }
  return { wrong, replaced, absent, described };
}

function differences(
  entry: Entry,
  expected: MtreeEntry,
  users: ReadonlyMap<string, number>,
  groups: ReadonlyMap<string, number>,
): string[] {
  const type = expected.type && ENTRY_TYPES[expected.type];
  if (type !== undefined && entry.type !== type) return [`it is a ${entry.type}, not a ${type}`];
  const octal = (mode: number | undefined) => mode?.toString(8).padStart(4, '0');
  const number = (names: ReadonlyMap<string, number>, name: string | undefined) =>
    name === undefined ? undefined : numberOf(name, names);
  const content = entry.type === 'file' ? entry.content : undefined;
  const rows: [what: string, is: unknown, should: unknown][] = [
    // Symbolic links have no mode of their own.
    ['mode', octal(entry.mode), entry.type === 'symlink' ? undefined : octal(expected.mode)],
    ['owner', entry.uid, number(users, expected.user)],
    ['group', entry.gid, number(groups, expected.group)],
    ['size', content?.size, content && expected.size],
    ['SHA-256', content?.digest, content && expected.sha256],
    [
      'target',
      entry.type === 'symlink' ? entry.target : undefined,
      entry.type === 'symlink' ? expected.link : undefined,
    ],
  ];
  return rows
    .filter(([, is, should]) => should !== undefined && is !== should)
    .map(([what, is, should]) => `its ${what} is ${is}, not ${should}`);
}
