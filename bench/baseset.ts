import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { compressed, type Member, tarOf } from '../tests/rig/archives.ts';

/**
 * Writes a set like NetBSD's base into a folder, as base.tar and base.tgz, and says what is in it. A program of its own: a
 * process that has held hundreds of megabytes takes 50 ms longer to start another, which would be measured.
 */

/** About 11,000 entries, 300 MB: sizes spread like those of a base set, most small and a few large. */
function baseLike(): Member[] {
  const members: Member[] = [{ name: './usr/', content: null }];
  for (let n = 0; n < 10_500; n++) {
    if (n % 25 === 0) members.push({ name: `./usr/d${n / 25}/`, content: null });
    const size = Math.floor(1.5 ** (n % 23)) * 13 + (n % 500 === 0 ? 4_000_000 : 0);
    members.push({ name: `./usr/d${Math.floor(n / 25)}/f${n}`, content: noise(size, n), mode: 0o444 });
  }
  return members;
}

/** Bytes that neither repeat much nor cost much to make. */
function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  let state = seed * 2654435761 + 1;
  for (let n = 0; n < size; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[n] = n % 3 === 0 ? state >>> 24 : 0x61;
  }
  return bytes;
}

const [folder = ''] = process.argv.slice(2);
const members = baseLike();
const tar = await tarOf(members);
writeFileSync(path.join(folder, 'base.tar'), tar);
writeFileSync(path.join(folder, 'base.tgz'), compressed(tar, 'tgz'));
process.stdout.write(`${members.length} entries, ${(tar.length / 1e6).toFixed(0)} MB`);
