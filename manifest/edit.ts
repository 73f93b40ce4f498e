import { type Document, isMap, isNode, isPair, isScalar, type Pair, parseDocument, type YAMLMap } from 'yaml';
import type { Json } from '../model/json.ts';
import { type Problem, Problems } from '../model/problem.ts';
import { Located } from './located.ts';
import { type SchemaName, validate } from './validate.ts';

/**
 * The text of a manifest in which some keys of one of its mappings have other values; undefined removes a key. All other
 * text, comments and spaces too, stays as it is. Throws `Problems` with what would be wrong with the manifest then.
 */
export function edited(
  { file, text, schema }: { readonly file: string; readonly text: string; readonly schema: SchemaName },
  key: string,
  values: Readonly<Record<string, Json | undefined>>,
): string {
  const after = Object.entries(values).reduce((now, [name, value]) => withValue(now, key, name, value), text);
  const wrong: readonly Problem[] = validate(schema, new Located(file, after));
  if (wrong.length > 0) throw new Problems(wrong);
  return after;
}

function withValue(text: string, key: string, name: string, value: Json | undefined): string {
  const document = parseDocument(text);
  const map = mapAt(document, key);
  const pair = map?.items.find((item) => isScalar(item.key) && item.key.value === name);
  if (JSON.stringify(document.toJS()?.[key]?.[name]) === JSON.stringify(value)) return text;
  if (value === undefined)
    return map?.items.length === 1 ? without(text, pairAt(document, key)!) : without(text, pair!);
  if (isNode(pair?.value)) {
    const [start, end] = pair.value.range!;
    return text.slice(0, start) + inline(value) + text.slice(end);
  }
  const line = `${name}: ${inline(value)}`;
  if (map === undefined) return `${text.trimEnd()}\n${key}:\n  ${line}\n`;
  if (map.flow) {
    const close = text.slice(0, map.range![1] - 1).trimEnd().length;
    return `${text.slice(0, close)}${map.items.length > 0 ? ', ' : ''}${line}${text.slice(close)}`;
  }
  const end = endOfLine(text, endOf(map.items.at(-1)!));
  return `${text.slice(0, end)}\n${indentOf(text, map.items[0]!)}${line}${text.slice(end)}`;
}

function pairAt(document: Document, key: string): Pair | undefined {
  const top: unknown = document.contents;
  return isMap(top)
    ? top.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
    : undefined;
}

function mapAt(document: Document, key: string): YAMLMap | undefined {
  const value = pairAt(document, key)?.value;
  return isMap(value) && value.items.length > 0 ? value : undefined;
}

/** A text without a pair: with its lines if it has them for itself, else with the comma that divides it from others. */
function without(text: string, pair: Pair): string {
  const [start, end] = [startOf(pair), endOf(pair)];
  const line = text.lastIndexOf('\n', start - 1) + 1;
  if (text.slice(line, start).trim() === '') return text.slice(0, line) + text.slice(endOfLine(text, end) + 1);
  const rest = text.slice(end).replace(/^\s*,\s*/, '');
  const before = text.slice(0, start);
  return rest.length < text.length - end ? before + rest : before.replace(/\s*,\s*$/, '') + rest;
}

function startOf({ key }: Pair): number {
  return isNode(key) ? key.range![0] : 0;
}

/** Where the value of a pair ends, without the lines that follow it. */
function endOf({ key, value }: Pair): number {
  const [start = 0, end = 0] = (isNode(value) ? value.range : isNode(key) ? key.range : undefined) ?? [];
  return Math.max(start, end);
}

/** The end of the line that holds the last letter before a place. */
function endOfLine(text: string, before: number): number {
  const last = text.slice(0, before).trimEnd().length;
  const end = text.indexOf('\n', last);
  return end < 0 ? text.length : end;
}

function indentOf(text: string, pair: Pair): string {
  const start = startOf(pair);
  return text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
}

/** A value as it stands on one line. */
function inline(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  return typeof value === 'string' && /^[a-z]+$|^\d+[KMG]$/.test(value) ? value : JSON.stringify(value);
}
