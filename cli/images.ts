import path from 'node:path';
import type { CheckReport } from '../commands/check.ts';
import type { ImageChange, ImageDiff } from '../commands/diff.ts';
import type { Growth } from '../commands/grow.ts';
import type { Share, UsageReport } from '../commands/usage.ts';
import type { VolumeEntry } from '../formats/volume.ts';
import type { Entry } from '../model/artifact.ts';
import { bytes, count } from '../model/words.ts';
import { columns } from './tables.ts';

/** What was found in images, as text. */

const LETTERS: Readonly<Record<Entry['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  character: 'c',
  block: 'b',
  fifo: 'p',
};

/** As ls(1) has it: `drwxr-sr-x`. */
export function modeText({ type, mode }: Pick<Entry, 'type' | 'mode'>): string {
  const special = ['s', 's', 't'];
  const triples = [6, 3, 0].map((shift, n) => {
    const bits = mode >> shift;
    const isSpecial = (mode & (0o4000 >> n)) !== 0;
    const executes = (bits & 1) !== 0;
    const last = isSpecial ? (executes ? special[n] : special[n]!.toUpperCase()) : executes ? 'x' : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
  });
  return `${LETTERS[type]}${triples.join('')}`;
}

/** As `ls -ln` has it, with whole paths and times in UTC. */
export function listing(entries: readonly VolumeEntry[]): string {
  const rows = entries.map((entry) => {
    const size = 'major' in entry ? `${entry.major},${entry.minor}` : String(entry.size);
    const when = new Date((entry.mtime ?? 0) * 1000).toISOString().slice(0, 16).replace('T', ' ');
    const target = entry.type === 'symlink' ? ` -> ${printable(entry.target)}` : '';
    const { links, uid, gid } = entry;
    return [modeText(entry), String(links), String(uid), String(gid), size, when, `/${printable(entry.path)}${target}`];
  });
  // Numbers are read from the right.
  const widths = rows[0]!.map((_, n) => Math.max(...rows.map((row) => row[n]!.length)));
  return columns(rows.map((row) => row.map((cell, n) => (n > 0 && n < 5 ? cell.padStart(widths[n]!) : cell))));
}

/** A name of an image is not trusted: no control character of it reaches a terminal. */
function printable(name: string): string {
  return /\p{Cc}/u.test(name) ? JSON.stringify(name).slice(1, -1) : name;
}

const MARKS = { added: '+', removed: '-', content: '~', attributes: '~', time: '~' } as const;

export function differenceText({ changes, byte }: ImageDiff): string {
  if (byte !== undefined) {
    const where = byte.where === undefined ? '' : `, of ${byte.where}`;
    return `the files are the same; the images differ first in byte ${byte.position}${where}`;
  }
  if (changes.length === 0) return 'the same, byte for byte';
  const rows = changes.map((change) => [
    `${MARKS[change.change]} /${printable(change.path)}`,
    what(change),
    origin(change),
  ]);
  return `${columns(rows)}\n${count(changes.length, 'difference')}`;
}

function what({ change, before, after }: ImageChange): string {
  if (before === undefined || after === undefined) return describe((before ?? after)!);
  const facts = (entry: Entry) => ({
    type: entry.type,
    mode: modeText(entry),
    owner: `${entry.uid}:${entry.gid}`,
    size: entry.type === 'file' ? `${entry.content.size} bytes` : '',
    target: entry.type === 'symlink' ? printable(entry.target) : '',
    device: 'major' in entry ? `${entry.major},${entry.minor}` : '',
    time: change === 'time' ? new Date((entry.mtime ?? 0) * 1000).toISOString() : '',
  });
  const [was, is] = [facts(before), facts(after)];
  const keys = (Object.keys(was) as (keyof typeof was)[]).filter((key) => was[key] !== is[key]);
  const parts = keys.map((key) => `${key} ${was[key]} -> ${is[key]}`);
  if (change === 'content' && was.size !== '' && was.size === is.size) parts.unshift(`other content, ${was.size}`);
  return parts.join('; ');
}

function describe(entry: Entry): string {
  const size = entry.type === 'file' ? `, ${entry.content.size} bytes` : '';
  return `${entry.type}, ${modeText(entry)} ${entry.uid}:${entry.gid}${size}`;
}

function origin({ origins: { before, after } }: ImageChange): string {
  const labels = [...new Set([before, after].filter((label) => label !== undefined))];
  return labels.length === 0 ? '' : `(${labels.join(' -> ')})`;
}

const MOST_ABSENT = 5;

export function checkText({ fs, entries, wrong, compared, described, replaced, absent }: CheckReport): string {
  const lines = wrong.map((each) => `✗ ${each}`);
  lines.push(`${wrong.length === 0 ? '✓' : '✗'} ${fs}, ${count(entries, 'entry', 'entries')}`);
  lines.push(
    compared
      ? '  every byte compared with the tree that it was made of'
      : '  not compared with what it was made of: this project did not make it, or the cache has lost that',
  );
  if (described > 0) lines.push(`  ${count(described, 'entry', 'entries')} compared with what the sets say of them`);
  for (const [name, by] of replaced) lines.push(`  /${printable(name)} is not the set's: ${by} brought it`);
  if (absent.length > 0) {
    const shown = absent.slice(0, MOST_ABSENT).map((name) => `/${printable(name)}`);
    const more = absent.length > MOST_ABSENT ? ', …' : '';
    lines.push(`  ${count(absent.length, 'entry', 'entries')} of the sets left out: ${shown.join(', ')}${more}`);
  }
  if (wrong.length > 0) lines.push(`${count(wrong.length, 'thing')} wrong`);
  return lines.join('\n');
}

export function usageText({
  fs,
  size,
  onHost,
  contents,
  slack,
  tables,
  free,
  directories,
  layers,
}: UsageReport): string {
  const share = (rows: readonly Share[]) =>
    columns(rows.map((row) => [cell(row.size), count(row.files, 'file'), row.name]));
  const parts = [
    `${bytes(size)}, ${fs}; ${bytes(onHost)} on this host`,
    columns([
      [cell(contents), 'in files'],
      [cell(slack), 'at the ends of their last blocks'],
      [cell(tables), 'tables and directories'],
      [cell(free), 'free'],
    ]),
  ];
  if (layers !== undefined && layers.length > 0) parts.push('', share(layers));
  if (directories.length > 0) parts.push('', share(directories));
  return parts.join('\n');
}

function cell(size: number): string {
  return bytes(size).padStart(10);
}

export function growthText({ file, before, after, partition }: Growth, folder: string): string {
  const what = `${path.relative(folder, file)}: ${bytes(before)} -> ${bytes(after)}`;
  return partition
    ? `${what}, with its last partition; NetBSD's resize_ffs(8), or resize2fs(8), makes the file system in it larger`
    : `${what}; it has no GPT: the guest must make its partition larger`;
}
