import type { KeyRecord } from '../cache/records.ts';
import { readChecked, writeChecked } from '../host/checked.ts';
import type { Digest } from '../model/artifact.ts';

/** To be raised when the file changes its form. */
const FORMAT = 2;

/** What a step made, as its key record has it. */
export type Result = Pick<KeyRecord, 'output' | 'log' | 'ms'>;

/** A step that a build is done with. */
export interface Done extends Result {
  readonly name: string;
  readonly key: Digest;
  readonly ran: boolean;
}

/** What became of a step in the last build that had it. */
export interface Lately extends Result {
  readonly key: Digest;
  /** The key that it had in the build before that. */
  readonly before?: Digest | undefined;
  readonly ran: boolean;
}

/** Steps whose last attempt failed, by name: with which key, or '' if it failed before it had one. */
type Failed = Record<string, Digest | ''>;

/**
 * What a project's steps came to in the last builds, by the steps' names: where an explanation begins, and what spares a
 * build that has nothing to do the reading of hundreds of key records. Losing it loses only that.
 */
export class History {
  readonly #file: string;
  readonly #steps: Record<string, Lately>;
  readonly #failed: Failed;

  constructor(file: string) {
    this.#file = file;
    const known = readChecked<{ format: number; steps: Record<string, Lately>; failed: Failed }>(file);
    const isReadable = known?.format === FORMAT;
    this.#steps = isReadable ? known.steps : {};
    this.#failed = isReadable ? known.failed : {};
  }

  /** The last keys of all steps. */
  keys(): Digest[] {
    return Object.values(this.#steps).map(({ key }) => key);
  }

  get(step: string): Lately | undefined {
    return Object.hasOwn(this.#steps, step) ? this.#steps[step] : undefined;
  }

  /** What a step made when it last had this key. */
  recall(step: string, key: Digest): Result | undefined {
    const lately = this.get(step);
    return lately?.key === key ? lately : undefined;
  }

  /** Whether a step failed when it was last tried with this key, or before it had any. */
  hasFailed(step: string, key: Digest | undefined): boolean {
    return Object.hasOwn(this.#failed, step) && this.#failed[step] === (key ?? '');
  }

  /** Notes what a build did. One that found all done explains nothing: it does not hide what the one before it did. */
  note(
    done: readonly Done[],
    failed: readonly { readonly name: string; readonly key: Digest | undefined }[] = [],
  ): void {
    const didNothing = !done.some(({ ran }) => ran);
    const news = done.filter(({ name }) => !didNothing || this.get(name) === undefined);
    if (news.length === 0 && failed.length === 0) return;
    for (const { name, ...lately } of news) {
      this.#steps[name] = { ...lately, before: this.get(name)?.key };
      delete this.#failed[name];
    }
    for (const { name, key } of failed) this.#failed[name] = key ?? '';
    writeChecked(this.#file, { format: FORMAT, steps: this.#steps, failed: this.#failed });
  }
}
