import { rmSync, statSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { checked, parseChecked, readChecked, writeChecked } from '../host/checked.ts';
import { readIfThere, walk } from '../host/files.ts';
import type { Artifact, Digest } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';

/** What is kept of a step: everything that went into its key, beside what came out. Made to be read by people too. */
export interface KeyRecord {
  readonly format: 3;
  readonly step: string;
  readonly key: Digest;
  /** The parts of the key, in the order in which they are hashed. */
  readonly parts: { readonly [name: string]: Json };
  readonly output: Artifact;
  readonly log: readonly string[];
  readonly ms: number;
}

/** A time that is no older than this is not written again: milliseconds. */
const TOUCH_MS = 30 * 60 * 1000;

/** Key records as JSON files by their keys. A record that cannot be read counts as none. */
export class Records {
  readonly #folder: string;

  constructor(root: string) {
    this.#folder = path.join(root, 'steps');
  }

  /** Reads a record, which counts as using it. */
  read(key: Digest): KeyRecord | undefined {
    const record = this.#parse(key);
    if (record !== undefined) this.#touch(key);
    return record;
  }

  /** All records that can be read, with when they were last used: milliseconds since 1970. */
  list(): { key: Digest; used: number; record: KeyRecord }[] {
    return walk(this.#folder).flatMap(({ path: name, type }) => {
      const key = name.replace('/', '').replace(/\.json$/, '');
      const record = type === 'file' && name.endsWith('.json') ? this.#parse(key) : undefined;
      return record === undefined ? [] : [{ key, used: statSync(this.#path(key)).mtimeMs, record }];
    });
  }

  /** A record as it is written. */
  text(key: Digest): string | undefined {
    return readIfThere(this.#path(key));
  }

  /** Takes in a record that `text` gave, here or elsewhere; false if it is damaged. */
  take(key: Digest, text: string): boolean {
    const record = parseRecord(text, key);
    if (record !== undefined) this.write(record);
    return record !== undefined;
  }

  #parse(key: Digest): KeyRecord | undefined {
    const record = readChecked<KeyRecord>(this.#path(key));
    return isRecord(record, key) ? record : undefined;
  }

  write(record: KeyRecord): void {
    writeChecked(this.#path(record.key), record, 2);
  }

  remove(key: Digest): void {
    rmSync(this.#path(key), { force: true });
  }

  /** The time of the file tells when the record was last used; to the hour is enough. */
  #touch(key: Digest): void {
    try {
      const now = Date.now();
      if (now - statSync(this.#path(key)).mtimeMs > TOUCH_MS) utimesSync(this.#path(key), now / 1000, now / 1000);
    } catch {
      // A cache that cannot be written, or a record that is just being removed, can still be used.
    }
  }

  #path(key: Digest): string {
    return path.join(this.#folder, key.slice(0, 2), `${key.slice(2)}.json`);
  }
}

/** A record as text, to be told elsewhere. */
export function recordText(record: KeyRecord): string {
  return checked(record);
}

/** The record that such a text is, if it is one of this key, and whole. Whoever wrote it, its digests are digests. */
export function parseRecord(text: string, key: Digest): KeyRecord | undefined {
  const record = parseChecked<KeyRecord>(text);
  if (!isRecord(record, key) || !Array.isArray(record.log)) return undefined;
  const { output } = record;
  const digests = output?.kind === 'tree' ? [output.digest, ...(output.blobs ?? [])] : [output?.digest];
  return digests.every((digest) => /^[0-9a-f]{64}$/.test(String(digest))) ? record : undefined;
}

function isRecord(record: KeyRecord | undefined, key: Digest): record is KeyRecord {
  return record?.format === 3 && record.key === key;
}
