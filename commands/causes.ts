import { count, either } from '../model/words.ts';
import type { Cause, ChangedPath } from './why.ts';

/** Why a step ran, in words; `nameOf` gives the name of a source as it is to be told. */
export function causeText(cause: Cause, nameOf: (source: string) => string = (source) => source): string {
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
      return paths.length === 0 ? `${nameOf(source)} changed` : paths.map(pathText).join(', ');
    }
    default:
      return cause satisfies never;
  }
}

function pathText({ path: at, change, lines }: ChangedPath): string {
  const words = { added: 'is new', removed: 'is gone', content: 'changed', attributes: 'has another mode or owner' };
  return `/${at} ${words[change]}${lines === undefined ? '' : ` ${count(lines, 'line')}`}`;
}
