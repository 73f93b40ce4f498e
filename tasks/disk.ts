import { statSync } from 'node:fs';
import path from 'node:path';
import { CoalescingSink } from '../formats/sink.ts';
import { asProblem } from '../host/files.ts';
import { SparseFile } from '../host/sparsefile.ts';
import type { Blob } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { Bound, type Compression, reading, UNCOMPRESSORS, uncompressed } from './uncompress.ts';

interface Options {
  /** The source's name, for messages. */
  readonly source: string;
  readonly compression: Compression;
}

/** A disk image that somebody published, uncompressed, with holes for its zeros. Its digest is its key: that says what it is of. */
export const disk: Task = {
  kind: 'disk',
  version: 1,
  summary: 'a published disk image',
  pool: 'disk',
  tools: ({ options }) => UNCOMPRESSORS[(options as unknown as Options).compression],
  async run(context: StepContext) {
    const { source, compression } = context.options as unknown as Options;
    const packed = await context.store.verifiedFile((context.inputs.source as Blob).digest);
    const bound = new Bound(packed, source);
    const name = 'disk.img';
    const file = path.join(await context.scratch(), name);
    await reading(source, context, async () => {
      using sparse = new SparseFile(file, 0);
      const sink = new CoalescingSink(sparse);
      let size = 0;
      for await (const chunk of await uncompressed(packed, compression, bound, context)) {
        bound.count(chunk.length);
        sink.write(size, chunk);
        size += chunk.length;
      }
      sink.flush();
      sparse.truncate(size);
    }).catch((error: unknown) => {
      throw asProblem(error, file);
    });
    return { kind: 'publication', file: name, size: statSync(file).size, digest: context.key };
  },
};

export function diskStep(target: string, source: string, fetched: Step, file: string): Step {
  const compression = source.endsWith('.gz') ? 'gzip' : source.endsWith('.xz') ? 'xz' : 'none';
  const options: Options = { source, compression };
  return { name: `disk ${target}`, task: disk, options: { ...options }, inputs: { source: fetched }, publish: file };
}
