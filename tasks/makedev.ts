import { byPath, isFile, nameOf } from '../formats/tree.ts';
import { sha256 } from '../host/files.ts';
import type { FileEntry, TreeArtifact } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

/**
 * NetBSD's device script as an image needs it: copies of dev/MAKEDEV* in etc/, where a memory file system over /dev
 * does not hide them; and, where that has no union mounts, dev/MAKEDEV without `-o union`: over ext2 they give I/O errors.
 */
export const makedev: Task = {
  kind: 'makedev',
  version: 2,
  summary: 'MAKEDEV as the file system of the root allows it, and copies of it in etc/',
  pool: 'cpu',
  async run(context: StepContext) {
    const { union } = context.options as { union: boolean };
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const scripts = tree.filter(isFile).filter((entry) => /^dev\/MAKEDEV[^/]*$/.test(entry.path));
    const copies = scripts.map((entry) => ({ ...entry, hard: undefined, path: `etc/${nameOf(entry.path)}` }));
    const edited: FileEntry[] = [];
    for await (const { entry, piece } of context.store.readEntries(union ? [] : scripts, context.signal)) {
      if (entry.path !== 'dev/MAKEDEV') continue;
      const text = piece.toString('latin1').replaceAll('-o union ', '');
      const { digest: blob, size } = await context.store.putBytes(Buffer.from(text, 'latin1'));
      const content = { blob, offset: 0, size, digest: sha256(Buffer.from(text, 'latin1')) };
      edited.push({ ...(entry as FileEntry), hard: undefined, content });
    }
    return context.store.putTree([...copies, ...edited].sort(byPath));
  },
};

/** `union`: whether the file system of the root can have union mounts over it. */
export function makedevStep(target: string, tree: Step, union: boolean): Step {
  return { name: `makedev ${target}`, task: makedev, options: { union }, inputs: { tree } };
}
