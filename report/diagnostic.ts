import path from 'node:path';
import type { Place, Problem } from '../model/problem.ts';
import type { Style } from './style.ts';

/** A problem as people read it: what is wrong, where, and what to do. */
export function renderProblem(problem: Problem, style: Style, cwd: string): string {
  const { code, message, place, label = '', others = [], detail, fix } = problem.parts;
  const lines = [`${style.red(`error[${code}]:`)} ${style.bold(message)}`];
  if (place !== undefined) lines.push(...frame(place, label, style, cwd));
  for (const other of others) lines.push(...frame(other.place, other.label, style, cwd));
  if (detail !== undefined) lines.push(...detail.split('\n').map((line) => `  ${style.dim('|')} ${line}`));
  if (fix !== undefined) lines.push(`  ${style.cyan('fix:')} ${fix}`);
  return lines.join('\n');
}

/** The line of a file with what is meant underlined. */
function frame(place: Place, label: string, style: Style, cwd: string): string[] {
  const number = String(place.line);
  const margin = ' '.repeat(number.length);
  const file = path.relative(cwd, place.file);
  const shown = file.startsWith('..') ? place.file : file;
  // Tabs before the place are kept, so that the caret stands under it.
  const indent = place.source.slice(0, place.column - 1).replaceAll(/[^\t]/g, ' ');
  return [
    `${margin}${style.dim('-->')} ${shown}:${place.line}:${place.column}`,
    `${style.dim(`${number} |`)} ${place.source}`,
    `${margin} ${style.dim('|')} ${indent}${style.red('^'.repeat(place.length))}${label === '' ? '' : ` ${label}`}`,
  ];
}

/** A mistake of smol's own. */
export function renderBug(error: unknown, style: Style): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${style.red('internal error:')} this is a bug in smol, not a mistake of yours. Please report it with this:\n${stack}`;
}
