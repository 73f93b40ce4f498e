import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import type { Place } from '../model/problem.ts';
import type { Path } from './document.ts';

/** A parsed YAML text that knows where each of its values stands. */
export class Located {
  readonly #file: string;
  readonly #text: string;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  /** As plain data; what a schema has defaults for is filled in when it is validated. */
  readonly value: unknown;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    this.value = this.#document.errors.length === 0 ? this.#document.toJS() : undefined;
  }

  get errors(): { place: Place; message: string }[] {
    return this.#document.errors.map(({ pos, message }) => ({ place: this.#placeOf(pos[0], pos[1]), message }));
  }

  /** The place of the value at a path, or of its key; where the path leads nowhere, of the last part that exists. */
  place(at: Path, part: 'key' | 'value'): Place {
    let node: Node | null = this.#document.contents as Node | null;
    let pair: Pair | undefined;
    for (const step of at) {
      const next: unknown = isMap(node)
        ? node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step)
        : undefined;
      if (isPair(next)) {
        pair = next;
        node = isNode(next.value) ? next.value : (next.key as Node);
      } else {
        const item: unknown = node !== null && 'items' in node ? node.items[step as number] : undefined;
        if (!isNode(item)) break;
        pair = undefined;
        node = item;
      }
    }
    const range = (part === 'key' && pair !== undefined ? (pair.key as Node) : node)?.range;
    return this.#placeOf(range?.[0] ?? 0, range?.[1] ?? 0);
  }

  /** The text of the scalar at a path, as it is written. */
  written(at: Path): string {
    const { source, column, length } = this.place(at, 'value');
    return source.slice(column - 1, column - 1 + length);
  }

  #placeOf(start: number, end: number): Place {
    const { line, col } = this.#lines.linePos(start);
    const source = this.#text.split('\n')[line - 1] ?? '';
    const length = Math.max(1, Math.min(end - start, source.length - col + 1));
    return { file: this.#file, line, column: col, length, source };
  }
}
