import { appendFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { readIfThere, writeAtomically } from '../host/files.ts';

/** When the file is put together: bytes. */
const LONG = 64 * 1024;

export interface Hits {
  /** How many steps were found done. */
  readonly steps: number;
  /** How long they had taken, in milliseconds. */
  readonly ms: number;
}

/** What a cache has spared its users: a file to which each build adds a line. */
export class Tally {
  readonly #file: string;

  constructor(root: string) {
    this.#file = path.join(root, 'hits');
  }

  /** Adds what one build was spared. A cache that cannot be written is told of by whoever needs it. */
  add({ steps, ms }: Hits): void {
    try {
      appendFileSync(this.#file, `${steps} ${Math.round(ms)}\n`);
    } catch {
      return;
    }
    // A line that another process adds right now is lost: nobody pays by it.
    if (statSync(this.#file).size > LONG) {
      const total = this.total();
      writeAtomically(this.#file, `${total.steps} ${total.ms}\n`);
    }
  }

  total(): Hits {
    const lines = (readIfThere(this.#file) ?? '').split('\n').map((line) => line.split(' ').map(Number));
    const sum = (n: number) => lines.reduce((total, line) => total + (line[n] || 0), 0);
    return { steps: sum(0), ms: sum(1) };
  }
}
