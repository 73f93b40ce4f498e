import type { Share } from '../../commands/usage.ts';
import { bytes } from '../../model/words.ts';

interface Tile {
  readonly share: Share;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What is in each directory, as areas: each time the larger half of what is left goes along the longer side. */
export function Treemap({ shares }: { shares: readonly Share[] }) {
  const top = shares.filter(({ name, size }) => size > 0 && !name.replace(/^\//, '').includes('/'));
  return (
    <div
      class="treemap"
      role="img"
      aria-label={top.map(({ name, size }) => `${name || '/'} ${bytes(size)}`).join(', ')}
    >
      {tilesOf(top, 0, 0, 100, 100, 3).map(({ share, left, top: y, width, height }) => (
        <div
          key={share.name}
          title={`${share.name || '/'}: ${bytes(share.size)} in ${share.files} files`}
          style={{ left: `${left}%`, top: `${y}%`, width: `${width}%`, height: `${height}%` }}
        >
          {width > 8 && height > 12 && (share.name || '/')}
        </div>
      ))}
    </div>
  );
}

/** The tiles of a rectangle; positions and sizes are in percent, and it is `ratio` times as wide as high. */
function tilesOf(
  shares: readonly Share[],
  left: number,
  top: number,
  width: number,
  height: number,
  ratio: number,
): Tile[] {
  const [first, ...others] = shares;
  if (first === undefined) return [];
  if (others.length === 0) return [{ share: first, left, top, width, height }];
  const sum = (list: readonly Share[]) => list.reduce((all, each) => all + each.size, 0);
  const all = sum(shares);
  let n = 1;
  while (n < shares.length - 1 && sum(shares.slice(0, n)) < all / 2) n++;
  const part = sum(shares.slice(0, n)) / all;
  const [one, other] = [shares.slice(0, n), shares.slice(n)];
  return width * ratio > height
    ? [
        ...tilesOf(one, left, top, width * part, height, ratio),
        ...tilesOf(other, left + width * part, top, width * (1 - part), height, ratio),
      ]
    : [
        ...tilesOf(one, left, top, width, height * part, ratio),
        ...tilesOf(other, left, top + height * part, width, height * (1 - part), ratio),
      ];
}
