import type { KeyRecord } from '../cache/records.ts';
import { checked, parseChecked } from '../host/checked.ts';
import { readIfThere, writeAtomically } from '../host/files.ts';
import type { Digest } from '../model/artifact.ts';

/** The first line of the file; to be changed with its form. */
const HEADER = 'smol history 3';
/** The name of the line that tells of failures: no step has it. */
const FAILED = 'failed';

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
 * build that has nothing to do the reading of hundreds of key records. Losing it loses only that. In a project of a
 * thousand services it is long, so it has a line for each step, of which only those are parsed that are asked for.
 */
export class History {
  readonly #file: string;
  /** After the name of a step and a tab, what is known of it. */
  readonly #lines = new Map<string, string>();
  readonly #steps = new Map<string, Lately | undefined>();
  #failed: Failed | undefined;

  constructor(file: string) {
    this.#file = file;
    const [header, ...lines] = (readIfThere(file) ?? '').split('\n');
    if (header !== HEADER) return;
    for (const line of lines) {
      const end = line.indexOf('\t');
      if (end > 0) this.#lines.set(line.slice(0, end), line.slice(end + 1));
    }
  }

  /** The last keys of all steps. */
  keys(): Digest[] {
    return this.names().flatMap((step) => this.get(step)?.key ?? []);
  }

  /** The names of all steps. */
  names(): string[] {
    return [...this.#lines.keys()].filter((name) => name !== FAILED);
  }

  get(step: string): Lately | undefined {
    if (step !== FAILED && !this.#steps.has(step)) {
      this.#steps.set(step, parseChecked<Lately>(this.#lines.get(step) ?? ''));
    }
    return this.#steps.get(step);
  }

  /** What a step made when it last had this key. */
  recall(step: string, key: Digest): Result | undefined {
    const lately = this.get(step);
    return lately?.key === key ? lately : undefined;
  }

  /** Whether a step failed when it was last tried with this key, or before it had any. */
  hasFailed(step: string, key: Digest | undefined): boolean {
    const failed = this.#failures();
    return Object.hasOwn(failed, step) && failed[step] === (key ?? '');
  }

  /** Notes what a build did. One that found all done explains nothing: it does not hide what the one before it did. */
  note(
    done: readonly Done[],
    failed: readonly { readonly name: string; readonly key: Digest | undefined }[] = [],
  ): void {
    const didNothing = !done.some(({ ran }) => ran);
    const news = done.filter(({ name }) => !didNothing || this.get(name) === undefined);
    if (news.length === 0 && failed.length === 0) return;
    const failures = this.#failures();
    for (const { name, ...result } of news) {
      const lately: Lately = { ...result, before: this.get(name)?.key };
      this.#steps.set(name, lately);
      this.#lines.set(name, checked(lately));
      delete failures[name];
    }
    for (const { name, key } of failed) failures[name] = key ?? '';
    this.#lines.set(FAILED, checked(failures));
    const lines = [...this.#lines].map(([name, line]) => `${name}\t${line}\n`);
    writeAtomically(this.#file, `${HEADER}\n${lines.join('')}`);
  }

  #failures(): Failed {
    this.#failed ??= parseChecked<Failed>(this.#lines.get(FAILED) ?? '') ?? {};
    return this.#failed;
  }
}
