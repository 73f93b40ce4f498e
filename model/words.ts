import leven from 'leven';

/** `1 file`, `3 files`. */
export function count(n: number, noun: string, nouns = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : nouns}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function either(words: readonly string[], last = 'or'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

/** `1.5 GiB`, `20 MiB`, `300 bytes`: binary units, three digits. */
export function bytes(n: number): string {
  if (n < 1024) return count(n, 'byte');
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = n;
  let unit = -1;
  do {
    value /= 1024;
    unit++;
  } while (value >= 999.5 && unit < units.length - 1);
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${units[unit]}`;
}

/** `40 ms`, `2.5 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The known word that was most likely meant, or undefined if none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  // Two letters the wrong way round are a distance of 2.
  let bestDistance = (word.length < 4 ? 1 : Math.max(2, Math.floor(word.length * 0.4))) + 1;
  for (const candidate of known) {
    const distance = leven(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** What matches a pattern in which `*` stands for anything within one part of a path. */
export function starred(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll(/[.+?^$(){}|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}$`);
}

/** A number of bytes written as `20M`. */
export function parseSize(text: string): number {
  const unit = { K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[text.at(-1) as 'K' | 'M' | 'G'];
  return Number.parseInt(text, 10) * unit;
}

/** How large an image is to be: so many bytes; or as small as it can, with so many bytes and percents of its files left free. */
export type ImageSize = { readonly bytes: number } | { readonly free: number; readonly percent: number };

/** The size of an image written as `20M`, `auto`, `auto+64M` or `auto+10%`. */
export function parseImageSize(text: string): ImageSize {
  const [size, more] = text.split('+');
  if (size !== 'auto') return { bytes: parseSize(text) };
  if (more === undefined) return { free: 0, percent: 0 };
  return more.endsWith('%') ? { free: 0, percent: Number.parseInt(more, 10) } : { free: parseSize(more), percent: 0 };
}
