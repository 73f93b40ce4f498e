/** Versions of packages and patterns of them, as pkg_install(7)'s lib/dewey.c and lib/opattern.c read them. */

/** What words in versions count as, before numbers do. */
const MODIFIERS: readonly (readonly [word: string, value: number])[] = [
  ['alpha', -3],
  ['beta', -2],
  ['pre', -1],
  ['rc', -1],
  ['pl', 0],
  ['_', 0],
  ['.', 0],
];

interface Version {
  readonly parts: readonly number[];
  /** pkgsrc's own revision: the number after `nb`. */
  readonly revision: number;
}

function parse(text: string): Version {
  const parts: number[] = [];
  let revision = 0;
  for (let rest = text.toLowerCase(); rest !== ''; ) {
    const digits = /^\d+/.exec(rest)?.[0];
    const modifier = MODIFIERS.find(([word]) => rest.startsWith(word));
    const own = /^nb(\d*)/.exec(rest);
    if (digits !== undefined) {
      parts.push(Number(digits));
      rest = rest.slice(digits.length);
    } else if (modifier !== undefined) {
      parts.push(modifier[1]);
      rest = rest.slice(modifier[0].length);
    } else if (own !== null) {
      revision = Number(own[1]);
      rest = rest.slice(own[0].length);
    } else {
      // A letter is a part of its own: 1.0b is newer than 1.0a.
      if (/^[a-z]/.test(rest)) parts.push(0, rest.charCodeAt(0) - 'a'.charCodeAt(0) + 1);
      rest = rest.slice(1);
    }
  }
  return { parts, revision };
}

/** Negative if the version `a` is older than `b`, positive if it is newer. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [parse(a), parse(b)];
  for (let n = 0; n < Math.max(x.parts.length, y.parts.length); n++) {
    const difference = (x.parts[n] ?? 0) - (y.parts[n] ?? 0);
    if (difference !== 0) return difference;
  }
  return x.revision - y.revision;
}

/** `nginx-1.27.4nb2` as its name and version; the version is empty if it has none. */
export function splitName(name: string): { readonly base: string; readonly version: string } {
  const dash = name.lastIndexOf('-');
  return dash < 0 ? { base: name, version: '' } : { base: name.slice(0, dash), version: name.slice(dash + 1) };
}

/**
 * The patterns that a pattern with braces stands for: `{mysql,mariadb}-client-[0-9]*` is two. A name without a version,
 * as people write it, stands for every version.
 */
export function alternatives(pattern: string): string[] {
  const braces = /^([^{]*)\{([^{}]*)\}(.*)$/.exec(pattern);
  if (braces !== null) return braces[2]!.split(',').flatMap((each) => alternatives(`${braces[1]}${each}${braces[3]}`));
  return [/[<>*?[\]]|-\d/.test(pattern) ? pattern : `${pattern}-[0-9]*`];
}

/** The name that all packages have that a pattern without braces may match; undefined if it could be any. */
export function baseOf(pattern: string): string | undefined {
  const relation = /^([^<>]+)[<>]/.exec(pattern)?.[1];
  if (relation !== undefined) return relation;
  const plain = /^[^*?[\]]*/.exec(pattern)![0];
  return plain.includes('-') ? splitName(plain).base : undefined;
}

/** Whether a package, given as `name-version`, is one that a pattern without braces names. */
export function matches(pattern: string, name: string): boolean {
  const { base, version } = splitName(name);
  const relation = /^([^<>]+)([<>].*)$/.exec(pattern);
  if (relation !== null) {
    const bounds = [...relation[2]!.matchAll(/([<>]=?)([^<>]+)/g)];
    return relation[1] === base && bounds.every(([, sign, bound]) => holds(compareVersions(version, bound!), sign!));
  }
  return globOf(pattern).test(name);
}

function holds(order: number, sign: string): boolean {
  return sign === '<' ? order < 0 : sign === '<=' ? order <= 0 : sign === '>' ? order > 0 : order >= 0;
}

/** A pattern of fnmatch(3) without flags. */
function globOf(pattern: string): RegExp {
  const source = pattern.replaceAll(/\[!?[^\]]*\]|[*?]|[\\^$.|+(){}[\]]/g, (found) => {
    if (found === '*') return '.*';
    if (found === '?') return '.';
    if (found.length > 1) return found.replace('[!', '[^');
    return `\\${found}`;
  });
  return new RegExp(`^${source}$`);
}
