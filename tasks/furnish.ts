import { byPath, withParents } from '../formats/tree.ts';
import { sha256 } from '../host/files.ts';
import type { Entry } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

export interface Furnishings {
  readonly directories?: readonly string[];
  /** Path -> target. */
  readonly links?: Readonly<Record<string, string>>;
  /** Path -> content, for files of mode 0644. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Directories, links and small files that are written in a manifest or belong to every image. */
export const furnish: Task = {
  kind: 'furnish',
  version: 1,
  summary: 'directories, links and files that manifests declare',
  pool: 'cpu',
  async run(context: StepContext) {
    const { directories = [], links = {}, files = {} } = context.options as unknown as Furnishings;
    const owned = (path: string, mode: number) => ({ path: path.replace(/^\/+|\/+$/g, ''), mode, uid: 0, gid: 0 });
    const entries: Entry[] = directories.map((path) => ({ ...owned(path, 0o755), type: 'directory' }));
    for (const [path, target] of Object.entries(links))
      entries.push({ ...owned(path, 0o777), type: 'symlink', target });
    for (const [path, text] of Object.entries(files)) {
      const { digest: blob, size } = await context.store.putBytes(Buffer.from(text));
      entries.push({ ...owned(path, 0o644), type: 'file', content: { blob, offset: 0, size, digest: sha256(text) } });
    }
    return context.store.putTree(withParents(entries.sort(byPath)).filter((entry) => entry.path !== ''));
  },
};

export function furnishStep(name: string, furnishings: Furnishings): Step {
  return { name, task: furnish, options: { ...furnishings }, inputs: {} };
}
