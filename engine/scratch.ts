import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { asProblem, isMissing, makeDirectory } from '../host/files.ts';
import { isAlive } from '../host/lock.ts';

const PREFIX = '.smol-scratch-';

/** A directory that is made when first asked for and is gone when the step is over, however it ends. */
export class Scratch implements AsyncDisposable {
  readonly #folder: string;
  #isMade = false;

  /** `parent` decides the file system, so that a file can be renamed to where it is to be published. */
  constructor(parent: string) {
    this.#folder = path.join(parent, `${PREFIX}${process.pid}-${randomBytes(4).toString('hex')}`);
  }

  readonly get = async (): Promise<string> => {
    if (!this.#isMade) makeDirectory(this.#folder);
    this.#isMade = true;
    return this.#folder;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isMade) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Removes the scratch directories of processes that died. */
export async function sweepScratch(parent: string): Promise<void> {
  let names: string[];
  try {
    names = readdirSync(parent);
  } catch (error) {
    if (isMissing(error)) return;
    throw asProblem(error, parent);
  }
  for (const name of names) {
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : 0;
    if (owner > 0 && !isAlive(owner)) await rm(path.join(parent, name), { recursive: true, force: true });
  }
}
