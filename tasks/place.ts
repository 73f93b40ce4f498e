import type { Blob } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';

interface Options {
  /** Where in the image. */
  readonly path: string;
  readonly mode: number;
}

/** A blob as a tree with one file. */
export const place: Task = {
  kind: 'place',
  version: 1,
  summary: 'a blob as a tree with one file',
  pool: 'cpu',
  async run(context: StepContext) {
    const { path, mode } = context.options as unknown as Options;
    const { digest, size } = context.inputs.file as Blob;
    const content = { blob: digest, offset: 0, size, digest };
    return context.store.putTree([{ path: path.replace(/^\/+/, ''), type: 'file', mode, uid: 0, gid: 0, content }]);
  },
};

export function placeStep(target: string, path: string, file: Step, mode = 0o644): Step {
  return { name: `place ${path} of ${target}`, task: place, options: { path, mode }, inputs: { file } };
}
