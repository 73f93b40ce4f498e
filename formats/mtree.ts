import type { Entry } from '../model/artifact.ts';

/** Manifests of file trees: mtree(5), in all of its forms: full paths (mtree -C), or names within each other, and /set. */

export interface MtreeEntry {
  /** Without a leading `./`; the root is empty. */
  readonly path: string;
  /** Undefined where the manifest does not say. */
  readonly type: 'file' | 'dir' | 'link' | 'char' | 'block' | 'fifo' | 'socket' | undefined;
  readonly mode: number | undefined;
  /** Names, or numbers as text. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** The target of a symbolic link. */
  readonly link: string | undefined;
  /** Bytes. */
  readonly size: number | undefined;
  readonly sha256: string | undefined;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  /** Whether nothing need be there. */
  readonly optional: boolean;
  /** Where it stands in the manifest, from 1. */
  readonly line: number;
}

const TYPES: ReadonlySet<string> = new Set(['file', 'dir', 'link', 'char', 'block', 'fifo', 'socket']);

/** What the types are in a tree; which has no sockets. */
export const ENTRY_TYPES: Readonly<Record<string, Entry['type']>> = {
  file: 'file',
  dir: 'directory',
  link: 'symlink',
  char: 'character',
  block: 'block',
  fifo: 'fifo',
};

const SAME: Readonly<Record<string, string>> = { uid: 'uname', uname: 'uid', gid: 'gname', gname: 'gid' };

/** The entries in the order of the text. Throws a SyntaxError that names the line. */
export function parseMtree(text: string): MtreeEntry[] {
  const entries: MtreeEntry[] = [];
  const defaults = new Map<string, string>();
  /** The directories that the lines before are in, outermost first. */
  const open: string[][] = [];
  for (const { words, line } of linesOf(text)) {
    const [first = '', ...rest] = words;
    const fail = (what: string): never => {
      throw new SyntaxError(`line ${line} ${what}`);
    };
    if (first === '/set') {
      for (const word of rest) defaults.set(...keyword(word));
      continue;
    }
    if (first === '/unset') {
      for (const word of rest) word === 'all' ? defaults.clear() : defaults.delete(word);
      continue;
    }
    if (first === '..') {
      if (open.pop() === undefined) fail('leaves the root');
      continue;
    }
    const fields = new Map(defaults);
    for (const [name, value] of rest.map(keyword)) {
      // A number and a name say the same thing: the last word holds.
      const other = SAME[name];
      if (other !== undefined) fields.delete(other);
      fields.set(name, value);
    }
    const type = fields.get('type');
    if (type !== undefined && !TYPES.has(type)) fail(`has the type ${type}`);
    const number = (name: string, base: number) => {
      const value = fields.get(name);
      if (value === undefined) return undefined;
      const pattern = base === 8 ? /^[0-7]{1,7}$/ : /^\d{1,15}$/;
      return pattern.test(value) ? Number.parseInt(value, base) : fail(`has ${name}=${value}`);
    };
    const parts = first
      .split('/')
      .map(unescaped)
      .filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) fail(`names ${first}`);
    // A name with a slash is a path from the root; one without is in the directory that the lines before are in.
    const path = first.includes('/') ? parts : [...(open.at(-1) ?? []), ...parts];
    if (type === 'dir' && !first.includes('/')) open.push(path);
    entries.push({
      path: path.join('/'),
      type: type as MtreeEntry['type'],
      mode: number('mode', 8),
      user: fields.get('uname') ?? fields.get('uid'),
      group: fields.get('gname') ?? fields.get('gid'),
      link: fields.has('link') ? unescaped(fields.get('link')!) : undefined,
      size: number('size', 10),
      sha256: fields.get('sha256') ?? fields.get('sha256digest'),
      device: deviceOf(fields.get('device'), fail),
      optional: fields.has('optional'),
      line,
    });
  }
  return entries;
}

/** Lines with their words, without comments; one that ends in a backslash goes on in the next. */
function* linesOf(text: string): Generator<{ words: string[]; line: number }> {
  let joined = '';
  for (const [n, part] of text.split('\n').entries()) {
    const ends = /(^|[^\\])\\$/.test(part);
    joined += ends ? `${part.slice(0, -1)} ` : part;
    if (ends) continue;
    const words = joined
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    joined = '';
    const comment = words.findIndex((word) => word.startsWith('#'));
    if (comment >= 0) words.length = comment;
    if (words.length > 0) yield { words, line: n + 1 };
  }
}

function keyword(word: string): [name: string, value: string] {
  const at = word.indexOf('=');
  return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
}

/** `native,4,2` or `netbsd,4,2`; a number alone is the two in one, which no two systems join alike. */
function deviceOf(text: string | undefined, fail: (what: string) => never): MtreeEntry['device'] {
  if (text === undefined) return undefined;
  const numbers = /(?:^|,)(\d+),(\d+)$/.exec(text);
  if (numbers === null) return fail(`has device=${text}; it must be a format, a major and a minor number: netbsd,2,2`);
  return { major: Number(numbers[1]), minor: Number(numbers[2]) };
}

const ESCAPES: Readonly<Record<string, string>> = { s: ' ', t: '\t', n: '\n', r: '\r', '#': '#', '\\': '\\' };

/** Names are encoded as by vis(3) with VIS_CSTYLE: a backslash and a letter, or three octal digits of a byte. */
function unescaped(name: string): string {
  if (!name.includes('\\')) return name;
  const bytes = name.replaceAll(/[^\0-\x7f]+/g, (text) => Buffer.from(text).toString('latin1'));
  const plain = bytes.replaceAll(/\\([0-7]{3}|.)/gs, (whole, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? whole),
  );
  return Buffer.from(plain, 'latin1').toString('utf8');
}
