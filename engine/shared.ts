import type { KeyRecord } from '../cache/records.ts';
import type { RemoteCache } from '../cache/remote.ts';
import { type Artifact, blobsOf } from '../model/artifact.ts';
import { keyOf } from './key.ts';
import type { Keyed } from './keyed.ts';
import { Slots } from './slots.ts';
import type { Workshop } from './workshop.ts';

/** How long a fetch may take in any case: to make something again has costs that its time does not tell. */
const LEAST_MS = 2000;

/** What an engine takes from a cache that other machines share with this one, and gives to it. */
export class Shared {
  readonly #remote: RemoteCache;
  readonly #workshop: Workshop;
  readonly #uploads: Slots;
  readonly #offers: Promise<void>[] = [];

  constructor(remote: RemoteCache, workshop: Workshop) {
    this.#remote = remote;
    this.#workshop = workshop;
    this.#uploads = new Slots(workshop.pools.net);
  }

  /** The record of a step that was run elsewhere, noted here too. What lies outside the store can only be made here. */
  async find({ step, key }: Keyed): Promise<KeyRecord | undefined> {
    if (step.publish !== undefined || !this.#remote.reads) return undefined;
    const { history, records } = this.#workshop;
    const record = await this.#remote.find(key, history.get(step.name)?.ms);
    // Whoever signed it: it must be of what we would run.
    if (record === undefined || keyOf(record.parts) !== key) return undefined;
    records.write(record);
    return record;
  }

  /** Brings what an artifact stands for into the store, in the slots that are given; false if that cannot be, or would take longer than to make it. */
  async bring({ key }: Keyed, artifact: Artifact, madeInMs: number, hold: Hold): Promise<boolean> {
    if (!this.#remote.reads) return false;
    const { store } = this.#workshop;
    const lacking = blobsOf(artifact).filter((blob) => !store.has(blob));
    const time = await this.#remote.timeFor(lacking, key);
    if (time !== undefined && time > madeInMs) {
      this.#remote.noteSlower();
      return false;
    }
    const within = Math.max(madeInMs, LEAST_MS);
    const brought = await Promise.all(lacking.map((blob) => hold(() => this.#remote.bring(blob, within, store))));
    if (brought.includes('late')) this.#remote.noteSlower();
    return brought.every((each) => each === 'brought');
  }

  /** Gives a record, and what it needs, to the remote cache, behind the work that goes on. */
  offer(record: KeyRecord): void {
    if (record.output.kind === 'publication' || !this.#remote.writes) return;
    const offer = this.#uploads.hold(0, () => this.#remote.offer(record, this.#workshop.store));
    // What is cut off has not been given, which harms nobody; any other error is told by `settled`.
    offer.catch(() => undefined);
    this.#offers.push(offer);
  }

  /** Makes sure that the remote cache has what artifacts stand for, where it may be written to. */
  async share(artifacts: readonly Artifact[]): Promise<void> {
    if (!this.#remote.writes) return;
    const { store } = this.#workshop;
    await Promise.all(
      artifacts.flatMap(blobsOf).map((blob) => this.#uploads.hold(1, () => this.#remote.offerBlob(blob, store))),
    );
  }

  /** Waits until all that was offered has arrived. */
  async settled(): Promise<void> {
    const { signal } = this.#workshop;
    await Promise.all(this.#offers).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

type Hold = <T>(work: () => Promise<T>) => Promise<T>;
