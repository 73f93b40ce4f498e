/** Files of checksums, as BSD's and GNU's digest programs write them. */

export interface Checksum {
  readonly algorithm: 'sha256' | 'sha512';
  readonly hex: string;
}

/**
 * The checksum of a file: from a line `SHA512 (name) = hex`, from a line `hex  name`, or from a text that is one hex
 * number alone. Undefined if the text has none, or only of algorithms that are broken.
 */
export function checksumOf(name: string, text: string): Checksum | undefined {
  const found: Checksum[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    const bsd = /^(SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]+)$/.exec(line);
    if (bsd?.[2] === name) push(found, bsd[3]!);
    const gnu = /^([0-9a-fA-F]{64,128})(?: [ *](?:.*\/)?([^/]+))?$/.exec(line);
    if (gnu && (gnu[2] === undefined || gnu[2] === name)) push(found, gnu[1]!);
  }
  return found.find(({ algorithm }) => algorithm === 'sha512') ?? found[0];
}

function push(found: Checksum[], hex: string): void {
  const algorithm = ({ 64: 'sha256', 128: 'sha512' } as const)[hex.length as 64 | 128];
  if (algorithm !== undefined) found.push({ algorithm, hex: hex.toLowerCase() });
}
