import { diffTrees } from '../formats/treediff.ts';
import { pieces } from '../host/files.ts';
import type { Artifact, Entry } from '../model/artifact.ts';
import type { BlobStore, Step } from '../model/step.ts';

/** What a step made, and where it lies. */
export interface Made {
  readonly artifact: Artifact;
  readonly store: BlobStore;
  /** Of a publication: the file. */
  readonly file: string | undefined;
  readonly inputs: Readonly<Record<string, Artifact>>;
}

/** Where two things that a step made differ first. */
export interface Mismatch {
  /** The file in it, or what else the byte belongs to; undefined if it is one blob. */
  readonly where: string | undefined;
  /** The first byte that differs, counted from 0, in that file or in all of it; undefined if no byte of a file does. */
  readonly byte: number | undefined;
}

/** Where two runs of a step made different things, or undefined if every byte is the same. */
export async function mismatch(step: Step, first: Made, second: Made): Promise<Mismatch | undefined> {
  const [a, b] = [first.artifact, second.artifact];
  if (a.kind === 'publication') {
    const byte = await firstDifference(pieces(first.file!), pieces(second.file!));
    if (byte === undefined) return undefined;
    const context = { store: first.store, options: step.options, inputs: first.inputs };
    return { byte, where: await step.task.locate?.(context, byte) };
  }
  if (a.digest === b.digest) return undefined;
  if (a.kind === 'tree' && b.kind === 'tree') {
    const [before, after] = [await first.store.readTree(a), await second.store.readTree(b)];
    const [change] = diffTrees(before, after);
    // Nothing but times, or where in its blob something lies.
    if (change === undefined) return { where: 'when its files were changed, or how they are stored', byte: undefined };
    const { path, before: was, after: is } = change;
    const byte = was && is && (await differenceIn(was, is, first.store, second.store));
    return { where: `/${path}`, byte };
  }
  const verified = async (store: BlobStore, { digest }: Artifact) => pieces(await store.verifiedFile(digest));
  return {
    where: undefined,
    byte: await firstDifference(await verified(first.store, a), await verified(second.store, b)),
  };
}

async function differenceIn(a: Entry, b: Entry, from: BlobStore, other: BlobStore): Promise<number | undefined> {
  if (a.type !== 'file' || b.type !== 'file' || a.content.digest === b.content.digest) return undefined;
  const { signal } = new AbortController();
  const bytes = async function* (entry: Entry, store: BlobStore) {
    for await (const { piece } of store.readEntries([entry], signal)) yield piece;
  };
  return firstDifference(bytes(a, from), bytes(b, other));
}

/** The position of the first byte that two sequences do not share; undefined if they are the same. */
export async function firstDifference(a: AsyncIterable<Buffer>, b: AsyncIterable<Buffer>): Promise<number | undefined> {
  await using left = new Reader(a);
  await using right = new Reader(b);
  for (let done = 0; ; ) {
    const length = Math.min(await left.fill(), await right.fill());
    if (length === 0) return left.rest.length === right.rest.length ? undefined : done;
    const [x, y] = [left.take(length), right.take(length)];
    if (!x.equals(y)) return done + x.findIndex((byte, n) => byte !== y[n]);
    done += length;
  }
}

/** The chunks of a sequence, to be taken in pieces of any length. */
class Reader implements AsyncDisposable {
  rest: Buffer = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** How many bytes can be taken; 0 at the end. */
  async fill(): Promise<number> {
    while (this.rest.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) return 0;
      this.rest = value;
    }
    return this.rest.length;
  }

  take(length: number): Buffer {
    const taken = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}
