import type { ExportedGraph } from '../commands/exports.ts';
import { quote } from '../host/process.ts';

/** Graphs in the words of other engines. */

/** A command line for sh(1), in which both engines would replace what follows a dollar. */
function command(words: readonly string[]): string {
  return words.map(quote).join(' ').replaceAll('$', '$$$$');
}

/** A build.ninja (ninja-build.org/manual). `to` is its own name; the words after it are what was asked for. */
export function ninjaText(
  { rules, goals, manifests, regenerate }: ExportedGraph,
  to: string,
  asked: readonly string[],
): string {
  const path = (text: string) => text.replaceAll(/[$ :]/g, (character) => `$${character}`);
  return [
    '# Written by `smol export ninja`. A step is run when something that it is made of has changed; what comes out the same',
    '# stops there.',
    'ninja_required_version = 1.5',
    'rule step',
    '  command = $command',
    '  description = $name',
    '  restat = 1',
    'rule export',
    `  command = ${command([...regenerate, 'ninja', ...asked, '--output', to])}`,
    '  description = export',
    '  generator = 1',
    `build ${path(to)}: export ${manifests.map(path).join(' ')}`,
    ...rules.flatMap((rule) => [
      `build ${path(rule.stamp)}: step ${rule.inputs.map(path).join(' ')}`,
      `  command = ${command(rule.command)}`,
      `  name = ${rule.step.replaceAll('$', '$$$$')}`,
    ]),
    `build all: phony ${goals.map(path).join(' ')}`,
    'default all',
    '',
  ].join('\n');
}

/** A makefile for POSIX make. It has no rule for itself: `smol export make` is to be called again when a manifest changes. */
export function makeText({ rules, goals }: ExportedGraph): string {
  const path = (text: string) => text.replaceAll('$', '$$$$').replaceAll(/[ #\\]/g, (character) => `\\${character}`);
  return [
    '# Written by `smol export make`; to be written again when a manifest or a list of files changes.',
    '.POSIX:',
    `all: ${goals.map(path).join(' ')}`,
    ...rules.flatMap((rule) => [
      `${path(rule.stamp)}: ${rule.inputs.map(path).join(' ')}`,
      `\t@${command(rule.command)}`,
    ]),
    '',
  ].join('\n');
}
