import { byPath, isFile, nameOf } from '../formats/tree.ts';
import { sha256 } from '../host/files.ts';
import type { FileEntry, TreeArtifact } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

/**
 * NetBSD's device script as an image needs it: copies of dev/MAKEDEV* in etc/, where a memory file system over /dev
 * does not hide them, and dev/MAKEDEV without `-o union`: union mounts over ext2 give I/O errors.
 */
export const makedev: Task = {
  kind: 'makedev',
  version: 1,
  summary: 'MAKEDEV for a root on ext2, and copies of it in etc/',
  pool: 'cpu',
  async run(context: StepContext) {
    const tree = await context.store.readTree(context.inputs.tree as TreeArtifact);
    const scripts = tree.filter(isFile).filter((entry) => /^dev\/MAKEDEV[^/]*$/.test(entry.path));
    const copies = scripts.map((entry) => ({ ...entry, hard: undefined, path: `etc/${nameOf(entry.path)}` }));
    const edited: FileEntry[] = [];
    for await (const { entry, piece } of context.store.readEntries(scripts, context.signal)) {
      if (entry.path !== 'dev/MAKEDEV') continue;
      const text = piece.toString('latin1').replaceAll('-o union ', '');
      const { digest: blob, size } = await context.store.putBytes(Buffer.from(text, 'latin1'));
      const content = { blob, offset: 0, size, digest: sha256(Buffer.from(text, 'latin1')) };
      edited.push({ ...(entry as FileEntry), hard: undefined, content });
    }
    return context.store.putTree([...copies, ...edited].sort(byPath));
  },
};

export function makedevStep(target: string, tree: Step): Step {
  return { name: `makedev ${target}`, task: makedev, options: {}, inputs: { tree } };
}
