import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { withParents } from '../formats/tree.ts';
import { digestDirectory, type FileDigests, hostMode } from '../host/digests.ts';
import { sha256, walk } from '../host/files.ts';
import type { Entry } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';
import { inputChanged, unsupportedEntry } from '../model/problems.ts';
import type { Source, Step, StepContext, Task } from '../model/step.ts';

interface Options {
  /** Where the directory lands: a path in the image, empty for its root. */
  readonly at: string;
  /** `normal`: 0644 and 0755; `exact`: the permission bits that the files have. */
  readonly permissions: 'normal' | 'exact';
}

/** A directory of the host as a tree. Everything belongs to root:wheel; times are left to the source date. */
export const overlay: Task = {
  kind: 'overlay',
  version: 1,
  summary: 'a directory of the host as a tree',
  pool: 'disk',
  async run(context: StepContext) {
    const { at, permissions } = context.options as unknown as Options;
    const folder = context.source!.name;
    const found = walk(folder);
    const contents = found.map(({ path: name, type }) =>
      type === 'file' ? readFileSync(path.join(folder, name)) : Buffer.alloc(0),
    );
    const blob = (await context.store.putBytes(Buffer.concat(contents))).digest;
    let offset = 0;
    const entries = found.map(({ path: name, type }, n): Entry => {
      const file = path.join(folder, name);
      const attributes = {
        path: at === '' ? name : `${at}/${name}`,
        mode: hostMode(file, permissions),
        uid: 0,
        gid: 0,
      };
      if (type === 'directory') return { ...attributes, type };
      if (type === 'symlink') return { ...attributes, type, target: readlinkSync(file) };
      if (type === 'other') throw unsupportedEntry(folder, name, 'a device, a socket or a pipe');
      const content = { blob, offset, size: contents[n]!.length, digest: sha256(contents[n]!) };
      offset += content.size;
      return { ...attributes, type, content };
    });
    if (digestDirectory(folder, permissions) !== context.identity) throw inputChanged(folder);
    const root = withParents(entries).filter((entry) => entry.path !== '');
    return context.store.putTree(root);
  },
};

/** `label` is the path as people write it; `folder` is absolute. */
export function overlayStep(label: string, folder: string, options: Options, digests: FileDigests): Step {
  const identify = async (): Promise<Json> => digests.directory(folder, options.permissions);
  const source: Source = { name: folder, path: folder, known: identify, identify };
  return { name: `overlay ${label}`, task: overlay, options: { ...options }, inputs: {}, source };
}
