import { rename } from 'node:fs/promises';
import path from 'node:path';
import { readChecked, writeChecked } from '../host/checked.ts';
import { asProblem, signature } from '../host/files.ts';
import type { Digest, Publication } from '../model/artifact.ts';

/** Files that steps made outside the store, such as images: which key each is of, and whether it is still untouched. */
export class Publications {
  readonly #state: string;

  /** `state` is the folder to note them in. */
  constructor(state: string) {
    this.#state = path.join(state, 'published');
  }

  /** Whether the file is there, as the step with this key made it. */
  isInPlace(file: string, key: Digest): boolean {
    const note = readChecked<{ key: Digest; signature: string }>(this.#note(file));
    return note !== undefined && note.key === key && note.signature === signature(file);
  }

  /** Puts what a step made where it belongs, in place of what was there. */
  async publish(made: string, file: string, key: Digest, artifact: Publication): Promise<void> {
    try {
      await rename(made, file);
    } catch (error) {
      throw asProblem(error, file);
    }
    const note = { key, digest: artifact.digest, signature: signature(file) };
    writeChecked(this.#note(file), note, 2);
  }

  #note(file: string): string {
    return path.join(this.#state, `${path.basename(file)}.json`);
  }
}
