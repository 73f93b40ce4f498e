import { readChecked, writeChecked } from '../host/checked.ts';
import type { Digest } from '../model/artifact.ts';

/** What became of a step in the last build that had it. */
export interface Lately {
  readonly key: Digest;
  /** The key that it had in the build before that. */
  readonly before?: Digest | undefined;
  readonly ran: boolean;
}

/** Steps whose last attempt failed, by name: with which key, or '' if it failed before it had one. */
type Failed = Record<string, Digest | ''>;

/** The last keys of a project's steps, by the steps' names: where an explanation begins. Losing it loses only that. */
export class History {
  readonly #file: string;
  readonly #steps: Record<string, Lately>;
  readonly #failed: Failed;

  constructor(file: string) {
    this.#file = file;
    const known = readChecked<{ steps: Record<string, Lately>; failed: Failed }>(file);
    this.#steps = known?.steps ?? {};
    this.#failed = known?.failed ?? {};
  }

  /** The last keys of all steps. */
  keys(): Digest[] {
    return Object.values(this.#steps).map(({ key }) => key);
  }

  get(step: string): Lately | undefined {
    return Object.hasOwn(this.#steps, step) ? this.#steps[step] : undefined;
  }

  /** Whether a step failed when it was last tried with this key, or before it had any. */
  hasFailed(step: string, key: Digest | undefined): boolean {
    return Object.hasOwn(this.#failed, step) && this.#failed[step] === (key ?? '');
  }

  /** Notes what a build did. One that found all done explains nothing: it does not hide what the one before it did. */
  note(
    done: readonly { readonly name: string; readonly key: Digest; readonly ran: boolean }[],
    failed: readonly { readonly name: string; readonly key: Digest | undefined }[] = [],
  ): void {
    const didNothing = !done.some(({ ran }) => ran);
    const news = done.filter(({ name }) => !didNothing || this.get(name) === undefined);
    if (news.length === 0 && failed.length === 0) return;
    for (const { name, key, ran } of news) {
      this.#steps[name] = { key, ran, before: this.get(name)?.key };
      delete this.#failed[name];
    }
    for (const { name, key } of failed) this.#failed[name] = key ?? '';
    writeChecked(this.#file, { steps: this.#steps, failed: this.#failed });
  }
}
