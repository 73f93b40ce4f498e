import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { writeAtomically } from '../host/files.ts';
import type { Artifact, Digest } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';

/** What is kept of a step: everything that went into its key, beside what came out. Made to be read by people too. */
export interface KeyRecord {
  readonly format: 1;
  readonly step: string;
  readonly key: Digest;
  /** The parts of the key, in the order in which they are hashed. */
  readonly parts: { readonly [name: string]: Json };
  readonly output: Artifact;
  readonly log: readonly string[];
  readonly ms: number;
}

/** Key records as JSON files by their keys. A record that cannot be read counts as none. */
export class Records {
  readonly #folder: string;

  constructor(root: string) {
    this.#folder = path.join(root, 'steps');
  }

  read(key: Digest): KeyRecord | undefined {
    try {
      const record = JSON.parse(readFileSync(this.#path(key), 'utf8')) as KeyRecord;
      return record.format === 1 && record.key === key ? record : undefined;
    } catch {
      return undefined;
    }
  }

  write(record: KeyRecord): void {
    const file = this.#path(record.key);
    mkdirSync(path.dirname(file), { recursive: true });
    writeAtomically(file, `${JSON.stringify(record, undefined, 2)}\n`);
  }

  remove(key: Digest): void {
    rmSync(this.#path(key), { force: true });
  }

  #path(key: Digest): string {
    return path.join(this.#folder, key.slice(0, 2), `${key.slice(2)}.json`);
  }
}
