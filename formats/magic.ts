/** What a file is by its first bytes. */

/** The kinds that smol asks for, by how a name ends, with how they begin. */
const KINDS: readonly { ending: RegExp; name: string; magic: readonly number[] }[] = [
  { ending: /\.(tar\.xz|txz)$/, name: 'an xz-compressed tar archive', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { ending: /\.(tgz|tar\.gz)$/, name: 'a gzip-compressed tar archive', magic: [0x1f, 0x8b] },
  { ending: /\.gz$/, name: 'a gzip file', magic: [0x1f, 0x8b] },
  { ending: /\.deb$/, name: 'a Debian package', magic: [...Buffer.from('!<arch>\n')] },
];

/** The wording of what is wrong, or undefined if the bytes may be what the name says. */
export function misnamed(name: string, start: Buffer): { expected: string; found: string } | undefined {
  const kind = KINDS.find(({ ending }) => ending.test(name));
  if (kind !== undefined && Buffer.from(kind.magic).equals(start.subarray(0, kind.magic.length))) return undefined;
  const found = describe(start);
  if (kind !== undefined) return { expected: kind.name, found };
  return found === 'an HTML page' ? { expected: 'a file', found } : undefined;
}

function describe(start: Buffer): string {
  if (start.length === 0) return 'an empty file';
  const text = start.subarray(0, 512).toString('latin1');
  if (/^\s*(<!doctype html|<html|<head)/i.test(text)) return 'an HTML page';
  if (/^[\x09\x0a\x0d\x20-\x7e]+$/.test(text)) return `the text "${text.trim().split('\n')[0]!.slice(0, 60)}"`;
  const kind = KINDS.find(({ magic }) => Buffer.from(magic).equals(start.subarray(0, magic.length)));
  return kind?.name ?? `unknown bytes (${start.subarray(0, 4).toString('hex')})`;
}
