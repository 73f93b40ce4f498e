import { readChecked, remember } from './checked.ts';

/** What happened, the last first, in one file that never grows beyond so many entries. A damaged one is begun anew; one that cannot be written is not. */
export class Ledger<T> {
  readonly #file: string;
  readonly #most: number;

  constructor(file: string, most: number) {
    this.#file = file;
    this.#most = most;
  }

  get entries(): readonly T[] {
    return readChecked<{ entries: T[] }>(this.#file)?.entries ?? [];
  }

  add(entry: T): void {
    remember(this.#file, { entries: [entry, ...this.entries].slice(0, this.#most) });
  }
}
