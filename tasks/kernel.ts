import { gunzipSync } from 'node:zlib';
import { isFile } from '../formats/tree.ts';
import type { TreeArtifact } from '../model/artifact.ts';
import { missingFile } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { starred } from '../model/words.ts';

interface Options {
  readonly source: string;
  /** Where the input is a tree: the file to take, `*` for anything. */
  readonly file?: string | undefined;
}

/** A kernel as QEMU loads it: taken out of its package, not compressed with gzip. */
export const kernel: Task = {
  kind: 'kernel',
  version: 1,
  summary: 'a kernel, taken out of its package or uncompressed',
  pool: 'cpu',
  async run(context: StepContext) {
    const { source, file } = context.options as unknown as Options;
    const input = context.inputs.source!;
    const bytes =
      input.kind === 'tree'
        ? await fileOf(context, input, source, file ?? '')
        : await context.store.readBytes(input.digest);
    const isGzip = bytes.readUInt16BE(0) === 0x1f8b;
    if (!isGzip) return context.store.putBytes(bytes);
    return context.store.putBytes(gunzipSync(bytes));
  },
};

export function kernelStep(name: string, source: Step, options: Options): Step {
  return { name: `kernel ${name}`, task: kernel, options: { ...options }, inputs: { source } };
}

/** The contents of the file of a tree that a pattern names. Throws `missing-file`. */
export async function fileOf(
  context: StepContext,
  artifact: TreeArtifact,
  source: string,
  pattern: string,
): Promise<Buffer> {
  const expression = starred(pattern);
  const tree = await context.store.readTree(artifact);
  const found = tree.filter(isFile).find((entry) => expression.test(entry.path));
  if (found === undefined) throw missingFile(source, pattern);
  return context.store.readEntry(found, context.signal);
}
