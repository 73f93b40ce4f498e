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
  #pins: Lock['pins'];

  private constructor(file: string, memory: string, pins: Lock['pins']) {
    this.#file = file;
    this.#memory = memory;
    this.#pins = pins;
  }

  /** The pins of a project; none if it has no lock file yet. `memory` is as for `readManifest`. */
  static async read(root: string, memory: string): Promise<Pins> {
    const file = path.join(root, 'smol.lock.yaml');
    return new Pins(file, memory, await readPins(file, memory));
  }

  get(source: string): Pin | undefined {
    return Object.hasOwn(this.#pins, source) ? this.#pins[source] : undefined;
  }

  names(): string[] {
    return Object.keys(this.#pins);
  }

  /** Adds pins, and removes those given as undefined, in the file too; pins of other processes are kept. */
  async change(changes: Readonly<Record<string, Pin | undefined>>): Promise<void> {
    await withLock(path.join(path.dirname(this.#file), '.smol.lock.yaml.lock'), async () => {
      const merged: Record<string, Pin | undefined> = { ...(await readPins(this.#file, this.#memory)), ...changes };
      this.#pins = Object.fromEntries(
        Object.keys(merged)
          .sort()
          .flatMap((name) => (merged[name] === undefined ? [] : [[name, merged[name]]])),
      );
      const { stringify } = await import('yaml');
      const lock: Lock = { version: 1, pins: this.#pins };
      writeAtomically(this.#file, `${HEADER}${stringify(lock, { lineWidth: 0 })}`, { durable: true });
    });
  }
}

async function readPins(file: string, memory: string): Promise<Lock['pins']> {
  return existsSync(file) ? (await readManifest<Lock>(file, 'lock', memory)).value.pins : {};
}
