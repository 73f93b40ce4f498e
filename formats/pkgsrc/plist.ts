/** Packing lists of binary packages, +CONTENTS: pkg_create(1), under PACKING LIST DETAILS. */

export interface PackingList {
  /** With its version. */
  readonly name: string | undefined;
  /** Where its files go: the first @cwd. */
  readonly prefix: string | undefined;
  /** Its files in order, each with where it goes. */
  readonly files: readonly { readonly path: string; readonly prefix: string; readonly mode: number | undefined }[];
  /** Directories to make, absolute. */
  readonly directories: readonly string[];
}

/** A packing list. Commands that are run when a package is added or deleted are passed over. */
export function parsePackingList(text: string): PackingList {
  let [name, prefix, first]: (string | undefined)[] = [];
  let mode: number | undefined;
  let ignored = false;
  const files: PackingList['files'][number][] = [];
  const directories: string[] = [];
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const command = /^@(\S+)\s*(.*)$/.exec(line);
    if (command === null) {
      if (!ignored) files.push({ path: line, prefix: prefix ?? '', mode });
      ignored = false;
      continue;
    }
    const [, word, value = ''] = command;
    if (word === 'name') name = value;
    if (word === 'cwd' || word === 'cd') {
      prefix = value;
      first ??= value;
    }
    if (word === 'mode') mode = /^[0-7]{3,4}$/.test(value) ? Number.parseInt(value, 8) : undefined;
    if (word === 'ignore') ignored = true;
    if (word === 'pkgdir') directories.push(value.startsWith('/') ? value : `${prefix ?? ''}/${value}`);
  }
  return { name, prefix: first, files, directories };
}
