import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { withLock } from '../host/lock.ts';
import { type Artifact, blobsOf, type Digest } from '../model/artifact.ts';
import { madeOtherwise, unreliableCache } from '../model/problems.ts';
import { CorruptBlob, type Pool, type Prior, type Step, type StepContext } from '../model/step.ts';
import { Executor } from './executor.ts';
import type { Done, Result } from './history.ts';
import { canonical, FORMAT, framed } from './key.ts';
import { inputsOf, type Keyed, keyed } from './keyed.ts';
import { Scratch } from './scratch.ts';
import { Shared } from './shared.ts';
import { Slots } from './slots.ts';
import type { Workshop } from './workshop.ts';

export interface EngineOptions {
  /** After a failure, go on with what does not depend on it. */
  readonly keepGoing?: boolean | undefined;
  /** Of the steps that wait for a slot, which goes first: the one of the highest number, by their names. */
  readonly urgencies?: (() => ReadonlyMap<string, number>) | undefined;
  /** Take nothing as done that this engine has not done itself. */
  readonly anew?: boolean | undefined;
}

/** What a step has become. */
export interface Outcome {
  readonly artifact: Artifact;
  readonly key: Digest;
  readonly cached: boolean;
}

/** How often one blob may turn out to be damaged before the disk itself is the suspect. */
const HEALINGS = 3;

/**
 * Makes artifacts of steps. Each step is one promise, made when first asked for. A step whose key has a record is not
 * run, nor is it looked at whether its output is still in the store: only when another step must run are its inputs
 * provided, which makes again what is gone. So a cache with holes costs only what is really needed of them.
 */
export class Engine {
  readonly #workshop: Workshop;
  readonly #keepGoing: boolean;
  readonly #anew: boolean;
  readonly #shared: Shared | undefined;
  readonly #executor: Executor | undefined;
  readonly #failure = new AbortController();
  readonly #signal: AbortSignal;
  readonly #slots: Readonly<Record<Pool, Slots>>;
  readonly #urgencies: () => ReadonlyMap<string, number>;
  #urgency: ReadonlyMap<string, number> | undefined;
  readonly #steps = new Map<string, { step: Step; outcome: Promise<Evaluated> }>();
  readonly #provided = new Map<string, Promise<Artifact>>();
  /** The last of the steps with each key that were run, or are. */
  readonly #running = new Map<Digest, Promise<Result>>();
  readonly #healed = new Map<Digest, number>();
  /** The keys of what was run here. */
  readonly #made = new Set<Digest>();
  /** The steps that are over, in the order in which they ended. */
  readonly done: Done[] = [];
  /** The steps that failed, with their keys if they had come so far. */
  readonly failed: { readonly name: string; readonly key: Digest | undefined }[] = [];

  constructor(
    workshop: Workshop,
    { keepGoing = false, urgencies = () => new Map(), anew = false }: EngineOptions = {},
  ) {
    this.#workshop = workshop;
    this.#shared = workshop.remote && new Shared(workshop.remote, workshop);
    this.#executor = workshop.executor && new Executor(workshop.executor);
    this.#keepGoing = keepGoing;
    this.#anew = anew;
    this.#urgencies = urgencies;
    this.#signal = AbortSignal.any([workshop.signal, this.#failure.signal]);
    // As many steps listen to it as work at once.
    setMaxListeners(0, this.#signal, workshop.signal);
    const { net, cpu, disk, vm } = workshop.pools;
    this.#slots = { net: new Slots(net), cpu: new Slots(cpu), disk: new Slots(disk), vm: new Slots(vm) };
  }

  /** What a step makes. The first failure of any step stops all others, unless they are to keep going. */
  async realise(step: Step): Promise<Outcome> {
    return this.#evaluate(step);
  }

  /** What a step makes, with everything in the store that it stands for. */
  provide(step: Step): Promise<Artifact> {
    let provided = this.#provided.get(step.name);
    if (provided === undefined) {
      provided = this.#ensure(step);
      this.#provided.set(step.name, provided);
    }
    return provided;
  }

  /** Waits until nothing works any more, so that no step is cut off while it cleans up. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#steps.values()].map(({ outcome }) => outcome));
    await Promise.allSettled(this.#provided.values());
    await this.#shared?.settled();
  }

  #evaluate(step: Step): Promise<Evaluated> {
    const known = this.#steps.get(step.name);
    if (known !== undefined) {
      const isSame = known.step.task === step.task && canonical(known.step.options) === canonical(step.options);
      if (!isSame) throw new Error(`two steps are named ${step.name}`);
      return known.outcome;
    }
    const outcome = this.#work(step);
    this.#steps.set(step.name, { step, outcome });
    return outcome;
  }

  async #work(step: Step): Promise<Evaluated> {
    const names = Object.keys(step.inputs);
    const inputs = await Promise.all(names.map((name) => this.#evaluate(step.inputs[name]!)));
    const started = performance.now();
    let key: Digest | undefined;
    try {
      const artifacts = Object.fromEntries(names.map((name, n) => [name, inputs[n]!.artifact]));
      const made = await this.#key(step, artifacts);
      key = made.key;
      const here = this.#resultInPlace(made);
      const known = here ?? (this.#anew ? undefined : await this.#shared?.find(made));
      const cached = known !== undefined;
      for (const line of known?.log ?? []) this.#workshop.emit({ type: 'step-log', step: step.name, line });
      const { output: artifact, log, ms } = known ?? (await this.#run(made));
      this.done.push({ name: step.name, key, ran: !cached, output: artifact, log, ms });
      this.#workshop.emit({
        type: 'step-finished',
        step: step.name,
        kind: step.task.kind,
        cached,
        ...(cached && here === undefined && { remote: true }),
        ms: performance.now() - started,
        key,
        digest: artifact.digest,
        size: artifact.size,
        inputs: names.map((name) => step.inputs[name]!.name),
      });
      return { artifact, key, cached, keyed: made, ms };
    } catch (error) {
      if (!this.#signal.aborted) {
        const ms = performance.now() - started;
        this.failed.push({ name: step.name, key });
        this.#workshop.emit({ type: 'step-failed', step: step.name, kind: step.task.kind, ms });
        if (!this.#keepGoing) this.#failure.abort(error);
      }
      throw this.#workshop.signal.aborted ? error : (this.#failure.signal.reason ?? error);
    }
  }

  /** What a step made when it had this key, if that is also where it belongs. */
  #resultInPlace({ step, key }: Keyed): Result | undefined {
    if (this.#anew && !this.#made.has(key)) return undefined;
    const { history, records, publications } = this.#workshop;
    const isInPlace = step.publish === undefined || publications.isInPlace(step.publish, key);
    return isInPlace ? (history.recall(step.name, key) ?? records.read(key)) : undefined;
  }

  async #key(step: Step, inputs: Readonly<Record<string, Artifact>>): Promise<Keyed> {
    const { task, source } = step;
    const identity =
      source &&
      ((await source.known()) ?? (await this.#holding(task.pool, step, (context) => source.identify(context))));
    const tools: Record<string, Digest> = {};
    for (const program of task.tools?.(step) ?? []) tools[program] = await this.#workshop.toolDigest(program);
    return keyed(step, inputs, identity, tools);
  }

  /** Runs a step, unless one with the same key is being run, here or by another process: then waits for what it makes. */
  #run(keyed: Keyed): Promise<Result> {
    const { key } = keyed;
    const run = () =>
      this.#stored(keyed) ??
      withLock(path.join(this.#workshop.locks, key), () => this.#stored(keyed) ?? this.#make(keyed), this.#signal);
    const before = this.#running.get(key);
    const result = before === undefined ? Promise.resolve(run()) : before.then(run, run);
    this.#running.set(key, result);
    return result;
  }

  /** What a step made, if that is in place, and in the store too. */
  #stored(keyed: Keyed): Result | undefined {
    const known = this.#resultInPlace(keyed);
    return known !== undefined && this.#isStored(known.output) ? known : undefined;
  }

  /** Runs a step, makes its inputs again if the store has lost them, and records what came out. */
  async #make(keyed: Keyed): Promise<Result> {
    const { step } = keyed;
    for (;;) {
      try {
        await Promise.all(Object.values(step.inputs).map((input) => this.provide(input)));
        if (this.#executor?.takes(step)) return await this.#delegate(this.#executor, keyed);
        return await this.#holding(step.task.pool, step, (context) => this.#perform(keyed, context));
      } catch (error) {
        if (!(error instanceof CorruptBlob)) throw error;
        const times = (this.#healed.get(error.digest) ?? 0) + 1;
        if (times > HEALINGS) throw unreliableCache(error.message);
        this.#healed.set(error.digest, times);
        this.#workshop.emit({ type: 'step-healed', step: step.name, blob: error.digest });
        this.#provided.clear();
      }
    }
  }

  async #perform(made: Keyed, context: Context): Promise<Result> {
    const { step, key, inputs, identity, parts } = made;
    this.#workshop.emit({ type: 'step-started', step: step.name, kind: step.task.kind });
    const started = performance.now();
    const output = await step.task.run({
      ...context,
      key,
      options: step.options,
      inputs,
      source: step.source,
      identity,
      prior: this.#prior(step),
    });
    this.#signal.throwIfAborted();
    if (output.kind === 'publication') {
      if (step.publish === undefined) throw new Error(`${step.name} made a file that has no place`);
      const made = path.join(await context.scratch(), output.file);
      this.#workshop.publications.publish(made, step.publish, key, output);
    }
    const ms = Math.round(performance.now() - started);
    const result = { output, log: context.lines, ms };
    const record = { format: FORMAT, step: step.name, key, parts, ...result } as const;
    this.#workshop.records.write(record);
    this.#made.add(key);
    this.#shared?.offer(record);
    if (step.source?.learns) {
      // The next build will ask for it by what the source has become.
      const learned = keyed(step, inputs, await step.source.known(), parts.tools as Record<string, Digest>);
      const { key: next, parts: then } = learned;
      if (next !== key)
        this.#workshop.records.write({ format: FORMAT, step: step.name, key: next, parts: then, ...result });
    }
    return result;
  }

  /**
   * Has a step run elsewhere: what it is made of is shared first, under its key, and what comes of it is looked up after. A file
   * that is not for the store is put where only this job could have put it, so that no older one is taken for it.
   */
  async #delegate(executor: Executor, keyed: Keyed): Promise<Result> {
    const { step, key, parts, inputs } = keyed;
    const { store, records, publications, emit } = this.#workshop;
    return executor.slots.hold(this.#urgencyOf(step), async () => {
      this.#signal.throwIfAborted();
      emit({ type: 'step-started', step: step.name, kind: step.task.kind });
      const action = await store.putBytes(Buffer.from(framed(parts)));
      await this.#shared?.share([action, ...Object.values(inputs)]);
      await using scratch = new Scratch(path.dirname(step.publish ?? this.#workshop.scratch));
      const file = step.publish && path.join(await scratch.get(), 'published');
      const log = (line: string) => emit({ type: 'step-log', step: step.name, line });
      const isDone = async () =>
        (records.read(key) ?? (await this.#shared?.find(keyed))) !== undefined &&
        (file === undefined || existsSync(file));
      await executor.run(step, key, { file, signal: this.#signal, log, isDone });
      const record = records.read(key)!;
      if (file !== undefined) publications.publish(file, step.publish!, key, record.output);
      this.#made.add(key);
      return record;
    });
  }

  /** What the step published the last time, if it did so in the way that it would now. */
  #prior({ task, publish }: Step): Prior | undefined {
    const { publications, records } = this.#workshop;
    const key = publish && publications.keyOf(publish);
    const record = key === undefined ? undefined : records.read(key);
    if (!key || record?.parts.task !== task.kind || record.parts.version !== task.version) return undefined;
    return { inputs: inputsOf(record), take: publications.taker(publish!, key) };
  }

  async #ensure(step: Step): Promise<Artifact> {
    const { artifact, keyed } = await this.#evaluate(step);
    if (this.#isStored(artifact) || (await this.#bring(step, artifact, keyed))) return artifact;
    const { output: again, log, ms } = await this.#run(keyed);
    if (again.digest !== artifact.digest) {
      // The next build goes on with what it makes now.
      this.done.push({ name: step.name, key: keyed.key, ran: true, output: again, log, ms });
      throw madeOtherwise(step.name);
    }
    if (!this.#isStored(again) && !(await this.#bring(step, again, keyed)))
      throw new CorruptBlob(again.digest, 'was removed as soon as it was made');
    return again;
  }

  /** Takes what other machines have of an artifact, rather than to make it again. */
  async #bring(step: Step, artifact: Artifact, keyed: Keyed): Promise<boolean> {
    if (this.#shared === undefined) return false;
    const urgency = this.#urgencyOf(step);
    return this.#shared.bring(keyed, artifact, await this.#timeToMake(step), (work) =>
      this.#slots.net.hold(urgency, work),
    );
  }

  /** How long a step took, and what it needs and the store lacks, in milliseconds. */
  async #timeToMake(step: Step): Promise<number> {
    const { ms } = await this.#evaluate(step);
    const inputs = await Promise.all(
      Object.values(step.inputs).map(async (input) => {
        const { artifact } = await this.#evaluate(input);
        return this.#isStored(artifact) ? 0 : this.#timeToMake(input);
      }),
    );
    return inputs.reduce((sum, each) => sum + each, ms);
  }

  #isStored(artifact: Artifact): boolean {
    return blobsOf(artifact).every((blob) => this.#workshop.store.has(blob));
  }

  #urgencyOf({ name }: Step): number {
    // Looked up only by a build that has something to do.
    this.#urgency ??= this.#urgencies();
    return this.#urgency.get(name) ?? 0;
  }

  /** Does work in a slot of a pool, with a scratch directory. The slot is taken when nothing is left to wait for. */
  async #holding<T>(pool: Pool, step: Step, work: (context: Context) => Promise<T>): Promise<T> {
    return this.#slots[pool].hold(this.#urgencyOf(step), async () => {
      this.#signal.throwIfAborted();
      const { emit, store } = this.#workshop;
      await using scratch = new Scratch(
        step.publish === undefined ? this.#workshop.scratch : path.dirname(step.publish),
      );
      const lines: string[] = [];
      return await work({
        store,
        scratch: scratch.get,
        signal: this.#signal,
        lines,
        log: (line) => {
          lines.push(line);
          emit({ type: 'step-log', step: step.name, line });
        },
        progress: (done, total) =>
          emit({ type: 'step-progress', step: step.name, done, ...(total !== undefined && { total }) }),
      });
    });
  }
}

/** What is known of a step that was evaluated: beside what it has become, how long it took to make. */
interface Evaluated extends Outcome {
  readonly keyed: Keyed;
  readonly ms: number;
}

type Context = Pick<StepContext, 'store' | 'scratch' | 'signal' | 'log' | 'progress'> & { readonly lines: string[] };
