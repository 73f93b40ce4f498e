import { createRequire } from 'node:module';
import { crc32 as ofZlib } from 'node:zlib';

type Crc32 = (bytes: Uint8Array, before: number) => number;

/** So many bytes are worth loading the package for, which takes some milliseconds. */
const MANY = 128 * 1024;

/** That of the package, once it was worth it. */
let fast: Crc32 | undefined;

/** The CRC-32 of bytes, or of bytes after others whose CRC-32 is `before` (ISO 3309, as in gzip and GPT). */
export function crc32(bytes: Uint8Array, before = 0): number {
  if (fast === undefined && bytes.length >= MANY) fast = load();
  return (fast ?? ofZlib)(bytes, before);
}

/** The package has the processor's instructions for it, which Node's zlib was not built to use: a third of its time. */
function load(): Crc32 {
  try {
    return createRequire(import.meta.url)('@node-rs/crc32').crc32;
  } catch {
    // There is none for this host, as for NetBSD.
    return ofZlib;
  }
}
