import type { Arch } from '../model/arch.ts';
import type { Release } from '../model/manifest.ts';

export interface KernelKind {
  readonly guest: Release['guest'];
  /** Undefined if the file does not say. */
  readonly arch: Arch | undefined;
}

/** The machines of ELF headers (elf(5): e_machine). */
const ELF_MACHINES: Readonly<Record<number, Arch>> = { 3: 'i386', 62: 'amd64', 183: 'evbarm-aarch64' };
/** The header of arm64 images, which Linux's and NetBSD's both have (Linux's Documentation/arch/arm64/booting.rst). */
const ARM64_MAGIC = 0x644d5241;
/** The header of bzImages (Linux's Documentation/arch/x86/boot.rst). */
const SETUP_HEADER = 'HdrS';

/** What a file that QEMU can load as a kernel is the kernel of; undefined if it is none that smol knows. */
export function kernelKind(bytes: Buffer): KernelKind | undefined {
  if (bytes.length < 1024) return undefined;
  if (bytes.toString('latin1', 0x202, 0x206) === SETUP_HEADER) return { guest: 'linux', arch: undefined };
  const isElf = bytes.readUInt32BE(0) === 0x7f454c46;
  const isArm = bytes.readUInt32LE(56) === ARM64_MAGIC;
  if (!isElf && !isArm) return undefined;
  const arch = isElf ? ELF_MACHINES[bytes.readUInt16LE(18)] : 'evbarm-aarch64';
  return { guest: bytes.includes('Linux version ') ? 'linux' : 'netbsd', arch };
}
