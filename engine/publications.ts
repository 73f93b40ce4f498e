import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { readChecked, writeChecked } from '../host/checked.ts';
import { asProblem, isLinked, isLocked, signature } from '../host/files.ts';
import type { Artifact, Digest } from '../model/artifact.ts';

/** Files that steps made outside the store, such as images: which key each is of, and whether it is still untouched. */
export class Publications {
  readonly #state: string;

  /** `state` is the folder to note them in. */
  constructor(state: string) {
    this.#state = path.join(state, 'published');
  }

  /** Whether the file is there, as the step with this key made it. */
  isInPlace(file: string, key: Digest): boolean {
    return this.keyOf(file) === key;
  }

  /** The key of the step that made a file, if it is there and untouched. */
  keyOf(file: string): Digest | undefined {
    const note = readChecked<{ key: Digest; signature: string }>(this.#note(file));
    return note !== undefined && note.signature === untouched(file) ? note.key : undefined;
  }

  /**
   * What moves a file that is in place to where it may be changed, unless somebody holds it: another name of it (a VM whose
   * disk lies over it), or an open file with a lock. From then on nothing is in place, whatever happens to who took it. Of
   * locks it is asked at once, since the answer takes as long as finding out what is to be changed.
   */
  taker(file: string, key: Digest): (to: string) => Promise<boolean> {
    const locked = isLocked(file).catch(() => true);
    return async (to) => {
      if ((await locked) || !this.isInPlace(file, key) || isLinked(file)) return false;
      rmSync(this.#note(file));
      renameSync(file, to);
      return true;
    };
  }

  /** Puts what a step made where it belongs, in place of what was there. */
  publish(made: string, file: string, key: Digest, artifact: Pick<Artifact, 'digest'>): void {
    try {
      renameSync(made, file);
    } catch (error) {
      throw asProblem(error, file);
    }
    const note = { key, digest: artifact.digest, signature: untouched(file) };
    writeChecked(this.#note(file), note, 2);
  }

  #note(file: string): string {
    return path.join(this.#state, `${path.basename(file)}.json`);
  }
}

/** A VM gives the image that it runs from a name of its own; that touches nothing. */
function untouched(file: string): string | undefined {
  return signature(file, { names: false });
}
