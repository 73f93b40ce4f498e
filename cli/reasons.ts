import path from 'node:path';
import type { Cause, ChangedPath, Explanation } from '../commands/why.ts';
import { count, either } from '../model/words.ts';

/** An explanation in words: the root causes first, then what followed from them. */
export function reasonText({ target, ran, cached }: Explanation, cwd: string): string {
  if (ran.length === 0) return `${target}: the last build had nothing to do for it`;
  const roots = ran.filter(({ causes }) => causes.length > 0);
  const isAllNew = roots.every(({ causes }) => causes.every(({ kind }) => kind === 'first'));
  if (isAllNew) return `${target}: it had never been built here, so ${count(ran.length, 'step')} had to run`;
  const lines = roots.flatMap(({ step, causes }) => causes.map((cause) => `  ${step}: ${causeText(cause, cwd)}`));
  const followers = ran.filter(({ causes }) => causes.length === 0);
  const follows = followers.map(({ step, after }) => `  ${step}: after ${either(after, 'and')}`);
  return [
    `${target}: ${count(ran.length, 'step')} had to run, ${cached} stayed as they were`,
    'because of',
    ...lines,
    ...(follows.length > 0 ? ['and so', ...follows] : []),
  ].join('\n');
}

function causeText(cause: Cause, cwd: string): string {
  switch (cause.kind) {
    case 'first':
      return 'it is new';
    case 'gone':
      return 'what it had made was gone or had been touched';
    case 'version':
      return 'this version of smol does it in another way';
    case 'options':
      return `${either(cause.names, 'and')} changed in a manifest`;
    case 'tools':
      return `${either(cause.names, 'and')} of this host changed`;
    case 'source': {
      const { source, paths } = cause;
      const name = path.isAbsolute(source) ? path.relative(cwd, source) || source : source;
      return paths.length === 0 ? `${name} changed` : paths.map(pathText).join(', ');
    }
    default:
      return cause satisfies never;
  }
}

function pathText({ path: at, change, lines }: ChangedPath): string {
  const words = { added: 'is new', removed: 'is gone', content: 'changed', attributes: 'has another mode or owner' };
  return `/${at} ${words[change]}${lines === undefined ? '' : ` ${count(lines, 'line')}`}`;
}
