import { either, nearest } from '../words.ts';

/** What was probably meant, and what there is: for messages about names. */

export function didYouMean(word: string, known: readonly string[]): string {
  const guess = nearest(word, known);
  return guess === undefined ? '' : ` (did you mean "${guess}"?)`;
}

export function oneOf(known: readonly string[]): string | undefined {
  return known.length === 0 ? undefined : `use ${either([...known].sort())}`;
}
