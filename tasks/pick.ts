import { parentOf } from '../formats/tree.ts';
import type { Entry, Tree, TreeArtifact } from '../model/artifact.ts';
import { unmatchedPart } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

interface Options {
  /** What people call the tree. */
  readonly of: string;
  readonly parts: readonly string[];
}

/** Parts of a tree, with the directories that they are in. Throws `unmatched-part`. */
export const pick: Task = {
  kind: 'pick',
  version: 1,
  summary: 'parts of a tree, with the directories that they are in',
  pool: 'cpu',
  async run(context: StepContext) {
    const { of, parts } = context.options as unknown as Options;
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const byPath = new Map(tree.map((entry) => [entry.path, entry]));
    const { default: picomatch } = await import('picomatch');
    const picked = new Set<Entry>();
    for (const part of parts) {
      const found = matching(tree, picomatch(plain(part), { dot: true }));
      if (found.length === 0) throw unmatchedPart(of, part, [...byPath.keys()]);
      for (const entry of found) {
        for (let at: string | undefined = entry.path; at !== undefined; at = parentOf(at)) {
          const parent = byPath.get(at);
          if (parent !== undefined) picked.add(parent);
        }
      }
    }
    return context.store.putTree(tree.filter((entry) => picked.has(entry)));
  },
};

export function pickStep(tree: Step, options: Options): Step {
  return {
    name: `pick ${options.parts.join(',')} of ${options.of}`,
    task: pick,
    options: { ...options },
    inputs: { tree },
  };
}

/** The entries that a pattern names, and all that is below those. `*` stays within a name, `**` goes across directories. */
function matching(tree: Tree, isMatch: (path: string) => boolean): Entry[] {
  const below = new Set<string>();
  return tree.filter(({ path, type }) => {
    const isPicked = isMatch(path) || below.has(parentOf(path) ?? '');
    if (isPicked && type === 'directory') below.add(path);
    return isPicked && path !== '';
  });
}

/** A pattern as paths of trees are: without what leads to the root, and what only says that it is a directory. */
function plain(part: string): string {
  return part.replace(/^\.?\/+|\/+$/g, '');
}
