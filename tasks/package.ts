import { parsePackingList } from '../formats/pkgsrc/plist.ts';
import { withParents } from '../formats/tree.ts';
import type { Entry, TreeArtifact } from '../model/artifact.ts';
import { brokenArchive } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { textOf } from './text.ts';

interface Options {
  /** With its version. */
  readonly name: string;
}

/** Where pkg_info(1) looks for the packages that are installed. */
export const PACKAGE_DATABASE = '/var/db/pkg';
const SCRIPT = '+INSTALL';

/**
 * A binary package where pkg_add(1) would put it: its files below LOCALBASE, and what it says of itself in the package
 * database. Its script is not run. Throws `broken-archive` for what is another package, or none.
 */
export const install: Task = {
  kind: 'package',
  version: 1,
  summary: 'a binary package where pkg_add would put it',
  pool: 'cpu',
  async run(context: StepContext) {
    const { name } = context.options as unknown as Options;
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const text = async (path: string) => (await textOf(tree, path, context)) ?? '';
    const list = parsePackingList(await text('+CONTENTS'));
    if (list.name !== name) throw brokenArchive(`the package ${name}`, `it says that it is ${list.name ?? 'nothing'}`);
    const base = list.prefix ?? /^LOCALBASE=(.+)$/m.exec(await text('+BUILD_INFO'))?.[1] ?? '/usr/pkg';
    const places = new Map(list.files.map((file) => [file.path, file]));
    const entries = tree.flatMap((entry): Entry[] => {
      const { path } = entry;
      if (path === '') return [];
      if (/^\+[^/]+$/.test(path)) return [{ ...entry, mode: 0o644, path: below(`${PACKAGE_DATABASE}/${name}`, path) }];
      const { prefix, mode } = places.get(path) ?? { prefix: base, mode: undefined };
      return [{ ...entry, mode: mode ?? entry.mode, path: below(prefix, path) }];
    });
    for (const directory of list.directories) {
      entries.push({ path: below('', directory), type: 'directory', mode: 0o755, uid: 0, gid: 0 });
    }
    if (tree.some(({ path }) => path === SCRIPT)) {
      context.log(
        `${name} has a script, ${SCRIPT}, which was not run: it may make users and copy example configurations`,
      );
    }
    return context.store.putTree(withParents(entries).filter(({ path }) => path !== ''));
  },
};

export function packageStep(name: string, tree: Step): Step {
  return { name: `package ${name}`, task: install, options: { name }, inputs: { tree } };
}

/** A path of the image. Throws `broken-archive` for a prefix that leads out of it. */
function below(prefix: string, path: string): string {
  const parts = `${prefix}/${path}`.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '..' || part === '.')) throw brokenArchive(path, `it belongs into ${prefix}`);
  return parts.join('/');
}
