/** The little of ELF (elf(5)) that tells what a kernel or a module is: notes, and sections by name. 32 and 64 bits, little-endian. */

/** Xen's note with the entry point for PVH boot (Xen's public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY). */
const PHYS32_ENTRY = 18;
const PT_NOTE = 4;

interface Reader {
  readonly bytes: Buffer;
  readonly wide: boolean;
}

function open(bytes: Buffer): Reader | undefined {
  if (bytes.length < 52 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  return { bytes, wide: bytes[4] === 2 };
}

/** A field that is as wide as an address. */
function word({ bytes, wide }: Reader, at: number): number {
  return wide ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at);
}

/** Whether these are the bytes of an ELF file at all. */
export function isElf(bytes: Buffer): boolean {
  return open(bytes) !== undefined;
}

/** Whether an ELF kernel has the note that QEMU's and Firecracker's direct boot look for. */
export function hasPvhEntry(bytes: Buffer): boolean {
  const elf = open(bytes);
  if (elf === undefined) return false;
  const { wide } = elf;
  const table = word(elf, wide ? 32 : 28);
  const size = bytes.readUInt16LE(wide ? 54 : 42);
  const count = bytes.readUInt16LE(wide ? 56 : 44);
  for (let n = 0; n < count; n++) {
    const header = table + n * size;
    if (bytes.readUInt32LE(header) !== PT_NOTE) continue;
    const start = word(elf, header + (wide ? 8 : 4));
    const end = start + word(elf, header + (wide ? 32 : 16));
    for (let at = start; at + 12 <= end; ) {
      const nameLength = bytes.readUInt32LE(at);
      const descLength = bytes.readUInt32LE(at + 4);
      const name = bytes.toString('latin1', at + 12, at + 12 + nameLength);
      if (bytes.readUInt32LE(at + 8) === PHYS32_ENTRY && name === 'Xen\0') return true;
      at += 12 + ((nameLength + 3) & ~3) + ((descLength + 3) & ~3);
    }
  }
  return false;
}

/** The contents of the first section of that name, or undefined. */
export function section(bytes: Buffer, name: string): Buffer | undefined {
  const elf = open(bytes);
  if (elf === undefined) return undefined;
  const { wide } = elf;
  const table = word(elf, wide ? 40 : 32);
  const size = bytes.readUInt16LE(wide ? 58 : 46);
  const count = bytes.readUInt16LE(wide ? 60 : 48);
  const names = bytes.readUInt16LE(wide ? 62 : 50);
  const contents = (n: number) => {
    const header = table + n * size;
    const start = word(elf, header + (wide ? 24 : 16));
    return bytes.subarray(start, start + word(elf, header + (wide ? 32 : 20)));
  };
  const strings = contents(names);
  for (let n = 0; n < count; n++) {
    const at = bytes.readUInt32LE(table + n * size);
    if (strings.toString('latin1', at, strings.indexOf(0, at)) === name) return contents(n);
  }
  return undefined;
}
