/** Manifests of file trees: mtree(5), in the form with one full path a line (mtree -C), as NetBSD's sets carry them. */

export interface MtreeEntry {
  /** Without a leading `./`; the root is empty. */
  readonly path: string;
  readonly type: string;
  readonly mode: number | undefined;
  readonly user: string | undefined;
  readonly group: string | undefined;
}

/** The entries in the order of the text. */
export function parseMtree(text: string): MtreeEntry[] {
  const entries: MtreeEntry[] = [];
  for (const line of text.split('\n')) {
    const [name = '', ...words] = line.trim().split(/\s+/);
    if (name !== '.' && !name.startsWith('./')) continue;
    const fields = new Map(words.map((word) => word.split('=', 2) as [string, string]));
    const mode = fields.get('mode');
    entries.push({
      path: unescaped(name.slice(2)),
      type: fields.get('type') ?? 'file',
      mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
      user: fields.get('uname') ?? fields.get('uid'),
      group: fields.get('gname') ?? fields.get('gid'),
    });
  }
  return entries;
}

/** Names are encoded as by vis(3): a backslash and three octal digits. */
function unescaped(name: string): string {
  return name.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
