import { readFileSync } from 'node:fs';
import { isMissing } from '../host/files.ts';
import type { Place } from '../model/problem.ts';
import { confCommand, noSuchFile, unknownKey } from '../model/problems.ts';

/** Settings of smolBSD's startnb.sh, `etc/<service>.conf`: files for sh(1), which are read here and never run. */

const KEYS = [
  'append',
  'bridgenet',
  'cores',
  'drive2',
  'extra',
  'fwcfgfile',
  'fwcfgvar',
  'hostfwd',
  'img',
  'imgtag',
  'initrd',
  'kernel',
  'max_ports',
  'mem',
  'nonet',
  'qmp_port',
  'root',
  'serial_port',
  'share',
  'sharerw',
  'svc',
  'use_pty',
] as const;

export type ConfKey = (typeof KEYS)[number];

/**
 * The settings of a file, those that it sets. Variables stand for what was set before in the same file, or for those that
 * are given. Throws `no-such-file`, and problems for commands, and for words that mean nothing.
 */
export function readConf(file: string, variables: Readonly<Record<string, string>>): Partial<Record<ConfKey, string>> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw isMissing(error) ? noSuchFile(file) : error;
  }
  const values: Record<string, string> = { ...variables };
  const found: Partial<Record<ConfKey, string>> = {};
  for (const [n, line] of text.split('\n').entries()) {
    const place = (column: number, length: number): Place => ({ file, line: n + 1, column, length, source: line });
    const words = line.trim();
    if (words === '' || words.startsWith('#')) continue;
    const assignment = /^(?:export\s+)?([A-Za-z_]\w*)=(.*)$/.exec(words);
    const start = line.length - line.trimStart().length + 1;
    if (assignment === null) throw confCommand(place(start, words.length));
    const [, name = '', raw = ''] = assignment;
    if (/\$\(|`/.test(raw.replaceAll(/'[^']*'/g, ''))) throw confCommand(place(start, words.length));
    values[name] = unquoted(raw, values);
    const key = KEYS.find((each) => each === name);
    if (key !== undefined) found[key] = values[name];
    // A variable that nothing here uses is most likely one of the keys, misspelt.
    else if (!new RegExp(`\\$\\{?${name}\\b`).test(text)) throw unknownKey(place(start, name.length), name, KEYS);
  }
  return found;
}

/** A value with its quotes taken away, variables replaced outside single quotes, and a comment behind it cut off. */
function unquoted(raw: string, values: Readonly<Record<string, string>>): string {
  const expand = (text: string) => text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, a, b) => values[a ?? b] ?? '');
  let value = '';
  for (const [, single, double, plain] of raw.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|(\s+#.*$|[^'"\s]+|\s+)/g)) {
    if (plain !== undefined && /^\s/.test(plain)) break;
    value += single ?? expand((double ?? plain)!).replaceAll(/\\(.)/g, '$1');
  }
  return value;
}
