/** NetBSD's own manifests of its sets: mtree(5), as the files etc/mtree/set.* have it, one entry a line. */
export interface MtreeEntry {
  readonly type: string;
  readonly mode: number;
  readonly uname: string;
  readonly gname: string;
  readonly size?: number;
  readonly sha256?: string;
  readonly link?: string;
}

/** The entries by their paths, without a leading `./`. */
export function parseMtree(text: string): Map<string, MtreeEntry> {
  const found = new Map<string, MtreeEntry>();
  for (const line of text.split('\n').filter((each) => each.startsWith('./'))) {
    const [name = '', ...words] = line.trim().split(/\s+/);
    const field = (key: string) => words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
    found.set(unescaped(name.slice(2)), {
      type: field('type') ?? '',
      mode: Number.parseInt(field('mode') ?? '0', 8),
      uname: field('uname') ?? '',
      gname: field('gname') ?? '',
      ...(field('size') !== undefined && { size: Number(field('size')) }),
      ...(field('sha256') !== undefined && { sha256: field('sha256')! }),
      ...(field('link') !== undefined && { link: unescaped(field('link')!) }),
    });
  }
  return found;
}

/** Names are written with the escapes of vis(3): a backslash and three octal digits. */
function unescaped(name: string): string {
  return name.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
