import { hash } from 'node:crypto';
import type { Digest } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';

/** To be raised when keys, records or trees change their form: everything is then made again. */
export const FORMAT = 1;

/** JSON with the keys of each object in code-unit order and nothing that may differ between two writers. */
export function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.entries(value)
    .filter((member): member is [string, Json] => member[1] !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}

/** SHA-256 over the named parts, each framed by its length, so that no two lists of parts have the same bytes. */
export function keyOf(parts: { readonly [name: string]: Json }): Digest {
  // One text, hashed in one go: a stream for each of thousands of keys would cost several times as much.
  const framed = Object.keys(parts)
    .sort()
    .map((name) => {
      const text = canonical(parts[name]!);
      return `${name} ${Buffer.byteLength(text)}\n${text}\n`;
    });
  return hash('sha256', framed.join(''));
}
