import { hexOf } from '../formats/oci.ts';
import type { Caller } from './session.ts';

/** Does what moves an image, and tells of it as of a step. `digest` is that of the manifest, `size` the bytes that moved. */
export async function asStep<T extends { readonly digest: string; readonly size: number }>(
  { emit }: Pick<Caller, 'emit'>,
  kind: 'push' | 'pull',
  name: string,
  work: (step: string) => Promise<T>,
): Promise<T> {
  const step = `${kind} ${name}`;
  const started = performance.now();
  emit({ type: 'step-started', step, kind });
  try {
    const done = await work(step);
    const [digest, ms] = [hexOf(done.digest), performance.now() - started];
    emit({ type: 'step-finished', step, kind, cached: false, ms, key: digest, digest, size: done.size, inputs: [] });
    return done;
  } catch (error) {
    emit({ type: 'step-failed', step, kind, ms: performance.now() - started });
    throw error;
  }
}
