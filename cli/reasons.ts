import path from 'node:path';
import { causeText } from '../commands/causes.ts';
import type { Explanation } from '../commands/why.ts';
import { count, either } from '../model/words.ts';

/** An explanation in words: the root causes first, then what followed from them. */
export function reasonText({ target, ran, cached }: Explanation, cwd: string): string {
  const nameOf = (source: string) => (path.isAbsolute(source) ? path.relative(cwd, source) || source : source);
  if (ran.length === 0) return `${target}: the last build had nothing to do for it`;
  const roots = ran.filter(({ causes }) => causes.length > 0);
  const isAllNew = roots.every(({ causes }) => causes.every(({ kind }) => kind === 'first'));
  if (isAllNew) return `${target}: it had never been built here, so ${count(ran.length, 'step')} had to run`;
  const lines = roots.flatMap(({ step, causes }) => causes.map((cause) => `  ${step}: ${causeText(cause, nameOf)}`));
  const followers = ran.filter(({ causes }) => causes.length === 0);
  const follows = followers.map(({ step, after }) => `  ${step}: after ${either(after, 'and')}`);
  return [
    `${target}: ${count(ran.length, 'step')} had to run, ${cached} stayed as they were`,
    'because of',
    ...lines,
    ...(follows.length > 0 ? ['and so', ...follows] : []),
  ].join('\n');
}
