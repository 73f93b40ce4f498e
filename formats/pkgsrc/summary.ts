/** Lists of the binary packages that there are: pkg_summary(5). */

export interface PackageInfo {
  /** With its version: `nginx-1.27.4`. */
  readonly name: string;
  /** The name of its file, beside the list. */
  readonly file: string;
  /** Bytes. */
  readonly size: number | undefined;
  readonly checksum: { readonly algorithm: string; readonly hex: string } | undefined;
  /** Patterns. */
  readonly depends: readonly string[];
  readonly conflicts: readonly string[];
}

/** The packages of a list, in its order. Lines that mean nothing are passed over, as the format grows. */
export function parseSummary(text: string): PackageInfo[] {
  const found: PackageInfo[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const values = (key: string) =>
      [...stanza.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!.trim());
    const [name] = values('PKGNAME');
    if (name === undefined || name === '') continue;
    const [algorithm, hex] = values('FILE_CKSUM')[0]?.split(/\s+/) ?? [];
    found.push({
      name,
      file: values('FILE_NAME')[0] || `${name}.tgz`,
      size: Number(values('FILE_SIZE')[0]) || undefined,
      checksum: algorithm && hex ? { algorithm: algorithm.toLowerCase(), hex: hex.toLowerCase() } : undefined,
      depends: values('DEPENDS'),
      conflicts: values('CONFLICTS'),
    });
  }
  return found;
}
