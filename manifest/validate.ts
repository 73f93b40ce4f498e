import validators from 'smol:validators';
import type { ErrorObject } from 'ajv';
import type { Problem } from '../model/problem.ts';
import { invalidValue, missingKey, unknownKey, wrongType } from '../model/problems.ts';
import { either } from '../model/words.ts';
import type { Path } from './document.ts';
import type { Located } from './located.ts';

/** The schemas in schema/, by the first part of their file names. */
export type SchemaName = keyof typeof validators;

/** Every mistake that a document has by its schema, in its order. Fills in the schema's defaults. */
export function validate(schema: SchemaName, document: Located): Problem[] {
  const check = validators[schema];
  check(document.value);
  return (check.errors ?? [])
    .flatMap((error) => explain(error, document))
    .sort((a, b) => a.parts.place!.line - b.parts.place!.line || a.parts.place!.column - b.parts.place!.column);
}

function explain(error: ErrorObject, document: Located): Problem[] {
  const at = pathOf(error.instancePath);
  const key = wordsFor(at);
  const params = error.params as Record<string, string & string[] & number>;
  const value = () => document.place(at, 'value');
  switch (error.keyword) {
    case 'additionalProperties': {
      const wrong = params.additionalProperty!;
      const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {});
      return [unknownKey(document.place([...at, wrong], 'key'), wrong, known)];
    }
    case 'required': {
      const missing = params.missingProperty!;
      const properties = error.parentSchema?.properties as Record<string, { description?: string }> | undefined;
      return [missingKey(document.place(at, 'key'), missing, properties?.[missing]?.description)];
    }
    case 'type': {
      const types = [error.params.type as string | string[]].flat();
      const quote = types.includes('string') && ['number', 'boolean'].includes(typeof error.data);
      const expected = either(types.map(withArticle));
      const found = quote ? `the ${typeof error.data} ${document.written(at)}` : typeName(error.data);
      return [wrongType(value(), key, expected, found, quote)];
    }
    case 'enum': {
      const allowed = params.allowedValues!;
      return [invalidValue(value(), key, either(allowed), JSON.stringify(error.data), allowed)];
    }
    case 'propertyNames':
      // The error of the pattern itself is reported with the key's name.
      return [];
    default: {
      const isName = error.propertyName !== undefined;
      const place = isName ? document.place([...at, error.propertyName!], 'key') : value();
      const found = JSON.stringify(isName ? error.propertyName : error.data);
      return [invalidValue(place, key, requirement(error), found)];
    }
  }
}

/** What a value must be, in the words of its description where the keyword alone says little. */
function requirement(error: ErrorObject): string {
  const { keyword, params, parentSchema } = error as ErrorObject<string, Record<string, number | string>>;
  switch (keyword) {
    case 'minimum':
      return `at least ${params.limit}`;
    case 'maximum':
      return `at most ${params.limit}`;
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return 'not empty';
    case 'format':
      return 'a regular expression';
    case 'const':
      return JSON.stringify(params.allowedValue);
    default: {
      const examples = EXAMPLES[String(params.pattern)];
      return examples ?? String(parentSchema?.description ?? `a text that matches ${params.pattern}`);
    }
  }
}

/** Patterns in the words of people. */
const EXAMPLES: Readonly<Record<string, string>> = {
  '^([1-9][0-9]*[KMG]|auto(\\+[1-9][0-9]*[KMG%])?)$': 'a size such as 20M or 1G, auto, auto+64M or auto+10%',
  '^[1-9][0-9]*[MG]$': 'a size such as 128M or 1G',
  '^/': 'a path that begins with /',
  '^(/(?!\\.\\.?(/|$))[^/]+)+/?$': 'a path that begins with / and has no . or .. in it',
  '^[0-7]{3,4}$': 'an octal mode in quotes, such as "0644"',
  '^[0-9]+:[0-9]+$': 'user and group by number, such as "0:5"',
  '^(([0-9]{1,3}\\.){3}[0-9]{1,3}:)?[0-9]{1,5}:[0-9]{1,5}(/(tcp|udp))?$':
    '[address:]host:guest[/udp], such as "8080:80"',
  '^[A-Za-z_][A-Za-z0-9_]{0,33}$': 'a name of at most 34 letters, digits and _',
  '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,32}$': 'a name of at most 33 letters, digits, _, . and -',
  '^(([0-9]{1,3}\\.){3}[0-9]{1,3}:)?[0-9]{1,5}$': '[address:]port, such as "5555"',
  '^[A-Za-z0-9_.-]{1,15}$': 'the name of a network interface',
  '^(?!/)(?!.*(^|/)\\.\\.(/|$)).+$': 'a path within the folder of the service',
  '^(https?|file):': 'a prefix that begins with http:, https: or file:',
  '^(https?:|file:|apt:)': 'a URL, file:<path> or apt:<package>:<arch>',
  '^[0-9a-f]{64}$': 'a SHA-256: 64 hex digits',
};

function pathOf(pointer: string): Path {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^[0-9]+$/.test(key) ? Number(key) : key;
  });
}

function wordsFor(at: Path): string {
  if (at.length === 0) return 'the document';
  return at.map((part, n) => (typeof part === 'number' ? `[${part}]` : n === 0 ? part : `.${part}`)).join('');
}

function typeName(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return withArticle(typeof value);
}

function withArticle(type: string): string {
  const names: Record<string, string> = {
    object: 'a mapping',
    array: 'a list',
    integer: 'a whole number',
    boolean: 'true or false',
  };
  return names[type] ?? `a ${type}`;
}
