import pLimit, { type LimitFunction } from 'p-limit';

interface Waiting {
  readonly urgency: number;
  readonly start: () => Promise<void>;
}

/** The slots of a pool. When one comes free, the most urgent of what waits gets it; of equals, who came first. */
export class Slots {
  readonly #limit: LimitFunction;
  /** The most urgent last; of equals, who came first. */
  readonly #waiting: Waiting[] = [];

  constructor(slots: number) {
    this.#limit = pLimit(slots);
  }

  /** Does the work once it has a slot. */
  async hold<T>(urgency: number, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.splice(this.#placeOf(urgency), 0, { urgency, start: () => work().then(resolve, reject) });
      // Which work it is that this call gets a slot for is decided when there is one.
      void this.#limit(() => this.#waiting.pop()!.start());
    });
  }

  /** Before everything that is at least as urgent. */
  #placeOf(urgency: number): number {
    let [low, high] = [0, this.#waiting.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#waiting[middle]!.urgency < urgency) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
