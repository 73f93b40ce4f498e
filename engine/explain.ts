import type { KeyRecord } from '../cache/records.ts';
import type { Json } from '../model/json.ts';
import { canonical } from './key.ts';

/** One part of a key that is another than before. */
export interface Difference {
  readonly part: 'format' | 'task' | 'version' | 'options' | 'inputs' | 'source' | 'tools';
  /** Which options, inputs or tools; empty for parts that are one value. */
  readonly names: readonly string[];
}

/** In what the parts of two keys differ. */
export function differences(before: KeyRecord, after: KeyRecord): Difference[] {
  const parts = Object.keys({ ...before.parts, ...after.parts }) as Difference['part'][];
  return parts
    .filter((part) => canonical(before.parts[part] ?? null) !== canonical(after.parts[part] ?? null))
    .map((part) => ({ part, names: namesOf(before.parts[part] ?? null, after.parts[part] ?? null) }));
}

function namesOf(before: Json, after: Json): string[] {
  if (!isObject(before) || !isObject(after)) return [];
  const names = Object.keys({ ...before, ...after }).sort();
  return names.filter((name) => canonical(before[name] ?? null) !== canonical(after[name] ?? null));
}

function isObject(value: Json): value is { readonly [key: string]: Json | undefined } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
