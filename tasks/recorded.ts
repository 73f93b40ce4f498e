import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type Answer, type ProxyServer, startProxy } from '../host/proxy.ts';
import type { Pins } from '../manifest/lock.ts';
import type { Blob } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';
import { problemsOf } from '../model/problem.ts';
import type { Source, StepContext } from '../model/step.ts';
import { makeRuntimeFolder } from '../vm/launch.ts';
import type { RemoteSource } from './fetch.ts';

/**
 * What a script takes from the network, each URL pinned like any other source. Which URLs these are is known only once the
 * script has run: they are noted in the lock, and what they are pinned to is part of the step's key from then on.
 */
export class RecordedSource implements Source {
  readonly name: string;
  readonly learns = true;
  /** Whether only what is pinned may be had. */
  isFrozen = false;
  readonly #step: string;
  readonly #pins: Pins;
  readonly #remote: (url: string) => RemoteSource;

  /** `step` is the name of the script's step; `remote` gives a URL as a source. */
  constructor(step: string, pins: Pins, remote: (url: string) => RemoteSource) {
    this.name = `what ${step} fetches`;
    this.#step = step;
    this.#pins = pins;
    this.#remote = remote;
  }

  async known(): Promise<Json> {
    return Object.fromEntries(this.#pins.recorded(this.#step).map((url) => [url, this.#pins.get(url)?.sha256 ?? null]));
  }

  async identify(): Promise<Json> {
    return this.known();
  }

  /** A proxy that gives, pins and notes URLs for the script of a step; `refused` is told what it does not give, and why. */
  async serve(context: StepContext, refused: (line: string) => void): Promise<ProxyServer> {
    const used = new Set<string>();
    const folder = await context.scratch();
    const proxy = await startProxy(makeRuntimeFolder(), async (url): Promise<Answer> => {
      try {
        const blob = await this.#take(url, { ...context, scratch: async () => mkdtempSync(path.join(folder, 'url')) });
        used.add(url);
        return { file: await context.store.verifiedFile(blob.digest), size: blob.size };
      } catch (error) {
        const [problem] = problemsOf(error);
        const why = problem?.message ?? (error as Error).message;
        const refusal = why.startsWith(url) ? why : `${url}: ${why}`;
        refused(refusal);
        return { refusal };
      }
    });
    return {
      folder: proxy.folder,
      [Symbol.asyncDispose]: async () => {
        await proxy[Symbol.asyncDispose]();
        rmSync(proxy.folder, { recursive: true, force: true });
        await this.#pins.record(this.#step, [...used].sort());
      },
    };
  }

  async #take(url: string, context: StepContext): Promise<Blob> {
    if (url.startsWith('https:')) throw new Error(`${url} is not given: ask for it by http:, so that it can be pinned`);
    const remote = this.#remote(url);
    if (this.isFrozen && this.#pins.get(url) === undefined) throw new Error(`${url} is not pinned yet`);
    return remote.retrieve(context, (await remote.identify(context)) as never);
  }
}
