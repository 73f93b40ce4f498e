import { blobsOf, type Digest } from '../model/artifact.ts';
import type { Records } from './records.ts';
import type { Store } from './store.ts';

/** What was used this lately may be in use by a build that is under way: milliseconds. */
const IN_USE_MS = 60 * 60 * 1000;
/** A record is small, and spares work even when the cache has lost what it tells of; so it is kept this long. */
const RECORD_MS = 90 * 24 * 60 * 60 * 1000;
/** A collection frees a little more than it must, or it would have to be repeated after each build. */
const TARGET = 0.9;

export interface Usage {
  readonly blobs: number;
  /** Bytes of all blobs, and of those that may not be evicted. */
  readonly bytes: number;
  readonly kept: number;
}

/** Bytes of the blobs that some keys stand for, those that the store has. */
export function bytesOf(store: Store, records: Records, keys: Iterable<Digest>): number {
  const outputs = [...keys].flatMap((key) => records.read(key)?.output ?? []);
  const blobs = new Set(outputs.flatMap(blobsOf));
  return [...blobs].reduce((total, blob) => total + store.size(blob), 0);
}

export interface Collection extends Usage {
  readonly freed: number;
  readonly evicted: number;
}

interface Item {
  readonly digest: Digest;
  readonly size: number;
  readonly used: number;
  readonly isKept: boolean;
}

/** How much there is. `keep` are the keys that the images in place were made with. */
export function usage(store: Store, records: Records, keep: ReadonlySet<Digest>, now: number): Usage {
  const items = itemsOf(store, records, keep, now);
  return { blobs: items.length, bytes: sum(items), kept: sum(items.filter(({ isKept }) => isKept)) };
}

/**
 * Evicts what was used longest ago until at most `limit` bytes are left; nothing that was used within the hour, and
 * nothing that images in place were made of. Whatever is evicted is made again when it is needed.
 */
export function collect(
  store: Store,
  records: Records,
  { keep, limit, now }: { keep: ReadonlySet<Digest>; limit: number; now: number },
): Collection {
  const items = itemsOf(store, records, keep, now);
  const bytes = sum(items);
  const evicted: Item[] = [];
  if (bytes > limit) {
    let left = bytes;
    for (const item of items.filter(({ isKept }) => !isKept).sort((a, b) => a.used - b.used)) {
      if (left <= limit * TARGET) break;
      store.remove(item.digest);
      evicted.push(item);
      left -= item.size;
    }
  }
  for (const { key, used } of records.list()) {
    if (!keep.has(key) && now - used > RECORD_MS) records.remove(key);
  }
  store.sweep(now - RECORD_MS);
  const freed = sum(evicted);
  const kept = sum(items.filter(({ isKept }) => isKept));
  return { blobs: items.length - evicted.length, bytes: bytes - freed, kept, freed, evicted: evicted.length };
}

/** All blobs. A blob was last used when a record that tells of it was; one that no record tells of, when it was stored. */
function itemsOf(store: Store, records: Records, keep: ReadonlySet<Digest>, now: number): Item[] {
  const used = new Map<Digest, number>();
  const kept = new Set<Digest>();
  for (const { key, used: time, record } of records.list()) {
    for (const blob of blobsOf(record.output)) {
      used.set(blob, Math.max(used.get(blob) ?? 0, time));
      if (keep.has(key)) kept.add(blob);
    }
  }
  return store.list().map(({ digest, size, stored }) => {
    const last = used.get(digest) ?? stored;
    return { digest, size, used: last, isKept: kept.has(digest) || now - last < IN_USE_MS };
  });
}

function sum(items: readonly Item[]): number {
  return items.reduce((total, { size }) => total + size, 0);
}
