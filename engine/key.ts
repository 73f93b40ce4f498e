import { hash } from 'node:crypto';
import type { Digest } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';

/** To be raised when keys, records or trees change their form: everything is then made again. */
export const FORMAT = 3;

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

/** The named parts as text, each framed by its length, so that no two lists of parts have the same bytes. */
export function framed(parts: { readonly [name: string]: Json }): string {
  return Object.keys(parts)
    .sort()
    .map((name) => {
      const text = canonical(parts[name]!);
      return `${name} ${Buffer.byteLength(text)}\n${text}\n`;
    })
    .join('');
}

/** The parts that a text of `framed` is of, or undefined if it is none. */
export function partsOf(text: string): { readonly [name: string]: Json } | undefined {
  const bytes = Buffer.from(text);
  const parts: Record<string, Json> = {};
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\n', at);
    const [name = '', length = ''] = bytes
      .subarray(at, end < 0 ? at : end)
      .toString()
      .split(' ');
    const next = end + 1 + Number(length);
    if (end < 0 || name === '' || !(next < bytes.length)) return undefined;
    try {
      parts[name] = JSON.parse(bytes.subarray(end + 1, next).toString()) as Json;
    } catch {
      return undefined;
    }
    at = next + 1;
  }
  return text !== '' && framed(parts) === text ? parts : undefined;
}

/** SHA-256 over the named parts. */
export function keyOf(parts: { readonly [name: string]: Json }): Digest {
  // One text, hashed in one go: a stream for each of thousands of keys would cost several times as much.
  return hash('sha256', framed(parts));
}
