import { styleText } from 'node:util';

type Format = (text: string) => string;

/** The few styles that reports use. */
export interface Style {
  readonly bold: Format;
  readonly dim: Format;
  readonly red: Format;
  readonly green: Format;
  readonly yellow: Format;
  readonly cyan: Format;
}

const NAMES = ['bold', 'dim', 'red', 'green', 'yellow', 'cyan'] as const;

/** Styles for a stream: none if it is no terminal, or NO_COLOR (no-color.org) is set. */
export function styleFor(stream: { isTTY?: boolean }): Style {
  const isPlain = !stream.isTTY || Boolean(process.env.NO_COLOR);
  const format = (name: (typeof NAMES)[number]): Format => (isPlain ? (text) => text : (text) => styleText(name, text));
  return Object.fromEntries(NAMES.map((name) => [name, format(name)])) as unknown as Style;
}
