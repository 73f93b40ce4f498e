import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeAtomically } from '../host/files.ts';
import { withLock } from '../host/lock.ts';
import type { Lock } from '../model/manifest.ts';
import { readManifest } from './document.ts';

export type Pin = Lock['pins'][string];

const HEADER = `# Written by smol: the SHA-256 and size of everything that was downloaded. Commit it.
# \`smol update\` moves a pin.
`;

/** smol.lock.yaml: what every source was when it was first fetched. Sources are named as the catalogues name them. */
export class Pins {
  readonly #file: string;
  readonly #memory: string;
  #lock: Lock;

  private constructor(file: string, memory: string, lock: Lock) {
    this.#file = file;
    this.#memory = memory;
    this.#lock = lock;
  }

  /** The pins of a project; none if it has no lock file yet. `memory` is as for `readManifest`. */
  static async read(root: string, memory: string): Promise<Pins> {
    const file = path.join(root, 'smol.lock.yaml');
    return new Pins(file, memory, await readLock(file, memory));
  }

  get(source: string): Pin | undefined {
    return Object.hasOwn(this.#lock.pins, source) ? this.#lock.pins[source] : undefined;
  }

  names(): string[] {
    return Object.keys(this.#lock.pins);
  }

  /** The URLs that the script of a step took the last time. */
  recorded(step: string): readonly string[] {
    return this.#lock.recorded?.[step] ?? [];
  }

  /** All URLs that any script took. */
  allRecorded(): string[] {
    return [...new Set(Object.values(this.#lock.recorded ?? {}).flat())];
  }

  /** Adds pins, and removes those given as undefined, in the file too; pins of other processes are kept. */
  async change(changes: Readonly<Record<string, Pin | undefined>>): Promise<void> {
    await this.#write((lock) => ({ ...lock, pins: sorted({ ...lock.pins, ...changes }) }));
  }

  /** Notes which URLs the script of a step took. */
  async record(step: string, urls: readonly string[]): Promise<void> {
    if (JSON.stringify(this.recorded(step)) === JSON.stringify(urls)) return;
    const list = urls.length === 0 ? undefined : [...urls];
    await this.#write((lock) => ({ ...lock, recorded: sorted({ ...lock.recorded, [step]: list }) }));
  }

  async #write(change: (lock: Lock) => Lock): Promise<void> {
    await withLock(path.join(path.dirname(this.#file), '.smol.lock.yaml.lock'), async () => {
      this.#lock = change(await readLock(this.#file, this.#memory));
      const { stringify } = await import('yaml');
      writeAtomically(this.#file, `${HEADER}${stringify(this.#lock, { lineWidth: 0 })}`, { durable: true });
    });
  }
}

/** In the order of the names, without those that are undefined. */
function sorted<T>(values: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const names = Object.keys(values).sort();
  return Object.fromEntries(names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])));
}

async function readLock(file: string, memory: string): Promise<Lock> {
  return existsSync(file) ? (await readManifest<Lock>(file, 'lock', memory)).value : { version: 1, pins: {} };
}
