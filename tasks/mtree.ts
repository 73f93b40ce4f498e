import { parseMtree } from '../formats/mtree.ts';
import { numbersOf } from '../formats/passwd.ts';
import { byPath, isFile } from '../formats/tree.ts';
import type { DirectoryEntry, TreeArtifact } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { textOf } from './text.ts';

/**
 * The directories that sets leave out of their archives but describe in their manifests, etc/mtree/set.*: without them
 * /var/games would belong to root, and /var/cron/tabs be open to all. Owners are names there; the numbers are in the
 * sets' own passwd and group files.
 */
export const mtree: Task = {
  kind: 'mtree',
  version: 1,
  summary: "directories as the manifests of NetBSD's sets describe them",
  pool: 'cpu',
  async run(context: StepContext) {
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const users = numbersOf((await textOf(tree, 'etc/master.passwd', context)) ?? '', 'root');
    const groups = numbersOf((await textOf(tree, 'etc/group', context)) ?? '', 'wheel');
    const known = new Map(tree.map((entry) => [entry.path, entry]));
    const directories = new Map<string, DirectoryEntry>();
    for (const manifest of tree.filter(isFile).filter(({ path }) => /^etc\/mtree\/set\.[^/]+$/.test(path))) {
      for (const { path, type, mode, user, group } of parseMtree(
        (await context.store.readEntry(manifest, context.signal)).toString(),
      )) {
        if (type !== 'dir' || (known.get(path)?.type ?? 'directory') !== 'directory') continue;
        const [uid, gid] = [users.get(user ?? 'root'), groups.get(group ?? 'wheel')];
        if (uid === undefined || gid === undefined) {
          context.log(`/${path} belongs to ${user}:${group}, whom no set knows`);
          continue;
        }
        directories.set(path, {
          path,
          type: 'directory',
          mode: mode ?? 0o755,
          uid,
          gid,
          mtime: known.get(path)?.mtime ?? manifest.mtime,
        });
      }
    }
    return context.store.putTree([...directories.values()].sort(byPath));
  },
};

export function mtreeStep(target: string, tree: Step): Step {
  return { name: `mtree ${target}`, task: mtree, options: {}, inputs: { tree } };
}
