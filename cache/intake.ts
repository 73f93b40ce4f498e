import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Digest } from '../model/artifact.ts';
import type { IntakeChecks } from '../model/step.ts';

type Known = { integrity: string; size: number } | { error: unknown };

/**
 * Tells cacache what a stream's digest and size were, once all of it is written, or that it was given up: then cacache
 * removes what it has of it. cacache listens only when its temporary file is open, so what is known is told then too.
 */
class Verdict extends EventEmitter {
  #known: Known | undefined;

  constructor() {
    super();
    this.on('newListener', (event: string) => {
      if (this.#known !== undefined && event !== 'newListener') process.nextTick(() => this.#tell());
    });
    this.on('error', () => undefined);
  }

  give(known: Known): void {
    this.#known = known;
    this.#tell();
  }

  #tell(): void {
    const known = this.#known!;
    if ('error' in known) this.emit('error', known.error);
    else for (const [event, value] of Object.entries(known)) this.emit(event, value);
  }
}

/** Puts what the chunks make together into a folder of cacache's. If a chunk or a check throws, nothing of it is kept. */
export async function takeIn(
  folder: string,
  chunks: AsyncIterable<Buffer>,
  { tap, accept }: IntakeChecks,
): Promise<{ digest: Digest; size: number } | undefined> {
  const { default: write } = await import('cacache/lib/content/write.js');
  const hash = createHash('sha256');
  let size = 0;
  let digest = '';
  let target: ReturnType<typeof write.stream> | undefined;
  const verdict = new Verdict();
  let wake: () => void = () => undefined;
  let failure: unknown;
  const done = withResolvers();
  done.promise.catch((error: unknown) => {
    failure = error;
    wake();
  });
  try {
    for await (const chunk of chunks) {
      await tap?.(chunk);
      if (target === undefined) {
        target = write.stream(folder, { algorithms: ['sha256'], integrityEmitter: verdict });
        target.on('error', done.reject);
        target.on('integrity', () => done.resolve());
        target.on('drain', () => wake());
      }
      hash.update(chunk);
      size += chunk.length;
      if (!target.write(chunk) && failure === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure !== undefined) throw failure;
    }
    digest = hash.digest('hex');
    accept?.(digest);
  } catch (error) {
    if (target !== undefined) {
      verdict.give({ error });
      await done.promise.catch(() => undefined);
    }
    throw error;
  }
  if (target === undefined) return undefined;
  verdict.give({ integrity: `sha256-${Buffer.from(digest, 'hex').toString('base64')}`, size });
  target.end();
  await done.promise;
  return { digest, size };
}

/** Promise.withResolvers, which Node 20 has not. */
function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
