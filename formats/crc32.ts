/** The CRC-32 of bytes, or of bytes after others whose CRC-32 is `before` (ISO 3309, as in gzip and GPT). */
export function crc32(bytes: Uint8Array, before = 0): number {
  // zlib is loaded by who needs it: most starts do not.
  return process.getBuiltinModule('node:zlib').crc32(bytes, before);
}
