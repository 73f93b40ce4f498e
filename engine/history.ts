import { readChecked, writeChecked } from '../host/checked.ts';
import type { Digest } from '../model/artifact.ts';

/** What became of a step in the last build that had it. */
export interface Lately {
  readonly key: Digest;
  /** The key that it had in the build before that. */
  readonly before?: Digest | undefined;
  readonly ran: boolean;
}

/** The last keys of a project's steps, by the steps' names: where an explanation begins. Losing it loses only that. */
export class History {
  readonly #file: string;
  readonly #steps: Record<string, Lately>;

  constructor(file: string) {
    this.#file = file;
    this.#steps = readChecked<Record<string, Lately>>(file) ?? {};
  }

  /** The last keys of all steps. */
  keys(): Digest[] {
    return Object.values(this.#steps).map(({ key }) => key);
  }

  get(step: string): Lately | undefined {
    return Object.hasOwn(this.#steps, step) ? this.#steps[step] : undefined;
  }

  /** Notes what a build did. One that found all done explains nothing: it does not hide what the one before it did. */
  note(steps: readonly { readonly name: string; readonly key: Digest; readonly ran: boolean }[]): void {
    const didNothing = !steps.some(({ ran }) => ran);
    const news = steps.filter(({ name }) => !didNothing || this.get(name) === undefined);
    if (news.length === 0) return;
    for (const { name, key, ran } of news) {
      this.#steps[name] = { key, ran, before: this.get(name)?.key };
    }
    writeChecked(this.#file, this.#steps);
  }
}
