import { isFile } from '../formats/tree.ts';
import type { Tree } from '../model/artifact.ts';
import type { StepContext } from '../model/step.ts';

/** The text of a file of a tree; undefined if the tree has no such file. */
export async function textOf(
  tree: Tree,
  path: string,
  { store, signal }: Pick<StepContext, 'store' | 'signal'>,
): Promise<string | undefined> {
  const file = tree.filter(isFile).find((entry) => entry.path === path);
  return file && (await store.readEntry(file, signal)).toString();
}
