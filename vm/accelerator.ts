import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readChecked, remember } from '../host/checked.ts';
import { readIfThere, signature } from '../host/files.ts';
import { attempt, which } from '../host/process.ts';
import type { Arch } from '../model/arch.ts';
import { type Accelerator, EMULATORS } from './machine.ts';

/** How long the tiny guest may take: with a working accelerator it needs a few hundred milliseconds. */
const DEADLINE = 5000;
/** What the tiny guest of x86 makes QEMU exit with: isa-debug-exit gives (value << 1) | 1. */
const X86_SUCCESS = (0x10 << 1) | 1;

export interface Choice {
  readonly accelerator: Accelerator;
  /** Why it is not the host's own, where there is one. */
  readonly reason?: string;
}

/**
 * The accelerator to run an architecture with: the host's own if a tiny guest really runs with it, else tcg. What was
 * found is remembered in `memory` for this QEMU and this kernel of the host.
 */
export async function chooseAccelerator(arch: Arch, memory: string): Promise<Choice> {
  const native = nativeAccelerator(arch);
  if (typeof native !== 'string') return { accelerator: 'tcg', ...native };
  const program = which(EMULATORS[arch]);
  const id = [native, arch, program && signature(program), os.release()].join(' ');
  const file = path.join(memory, 'accelerators.json');
  const known = readChecked<Record<string, string>>(file) ?? {};
  known[id] ??= await probe(arch, native);
  remember(file, known);
  return known[id] === 'works' ? { accelerator: native } : { accelerator: 'tcg', reason: known[id]! };
}

function nativeAccelerator(arch: Arch): Accelerator | { reason?: string } {
  const sameCpu =
    process.arch === 'arm64' ? arch === 'evbarm-aarch64' : process.arch === 'x64' && arch !== 'evbarm-aarch64';
  if (!sameCpu) return {};
  const platform = process.platform as string;
  if (platform === 'darwin') return 'hvf';
  const [accelerator, device] =
    platform === 'netbsd' ? (['nvmm', '/dev/nvmm'] as const) : (['kvm', '/dev/kvm'] as const);
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return accelerator;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? {} : { reason: `${device} cannot be opened: add yourself to its group` };
  }
}

/** `works`, or what went wrong. That a device opens proves nothing: only a guest that ran does. */
async function probe(arch: Arch, accelerator: Accelerator): Promise<string> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-probe-'));
  try {
    const kernel = path.join(folder, 'kernel');
    const isArm = arch === 'evbarm-aarch64';
    writeFileSync(kernel, isArm ? ARM_GUEST : x86Guest());
    const machine = isArm
      ? ['-machine', `virt,gic-version=host,accel=${accelerator}`]
      : ['-machine', `microvm,accel=${accelerator}`, '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'];
    const args = [
      ...machine,
      '-cpu',
      'host',
      '-m',
      '64M',
      '-nodefaults',
      '-display',
      'none',
      '-no-reboot',
      '-kernel',
      kernel,
    ];
    const outcome = await attempt(EMULATORS[arch], args, { signal: AbortSignal.timeout(DEADLINE) });
    if (outcome.code === (isArm ? 0 : X86_SUCCESS)) return 'works';
    return outcome.stderr.trim().split('\n')[0] || `QEMU ended with ${outcome.code}`;
  } catch {
    return `a test guest did not run within ${DEADLINE / 1000} s`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** psci's SYSTEM_OFF (Arm DEN 0022): movz w0, #8; movk w0, #0x8400, lsl 16; hvc #0; b . */
export const ARM_GUEST = Buffer.from('0001805200 80b072 020000d4 00000014'.replaceAll(' ', ''), 'hex');

/** An ELF kernel with a PVH entry that writes to the port of isa-debug-exit: mov al, 0x10; out 0xf4, al; hlt; jmp. */
export function x86Guest(): Buffer {
  const code = Buffer.from('b010e6f4f4ebfd', 'hex');
  const base = 0x100000;
  const note = Buffer.alloc(20);
  const noteAt = 52 + 2 * 32;
  const entry = base + noteAt + note.length;
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(4, 4);
  note.writeUInt32LE(18, 8); // XEN_ELFNOTE_PHYS32_ENTRY
  note.write('Xen\0', 12, 'latin1');
  note.writeUInt32LE(entry, 16);
  const size = noteAt + note.length + code.length;

  const header = Buffer.alloc(52);
  header.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  header.writeUInt16LE(2, 16); // executable
  header.writeUInt16LE(3, 18); // 80386
  header.writeUInt32LE(1, 20);
  header.writeUInt32LE(entry, 24);
  header.writeUInt32LE(52, 28);
  for (const [at, value] of [
    [40, 52],
    [42, 32],
    [44, 2],
  ] as const)
    header.writeUInt16LE(value, at);
  const segment = (type: number, offset: number, length: number) => {
    const bytes = Buffer.alloc(32);
    const fields = [type, offset, base + offset, base + offset, length, length, 7, 4];
    for (const [n, value] of fields.entries()) bytes.writeUInt32LE(value, n * 4);
    return bytes;
  };
  return Buffer.concat([header, segment(1, 0, size), segment(4, noteAt, note.length), note, code]);
}

/** The rate of the host's time stamp counter in kHz, which a guest under TCG sees too; 2 GHz where nothing tells. */
export function tscKhz(): number {
  const bogomips = /^bogomips\s*:\s*([0-9.]+)/im.exec(readIfThere('/proc/cpuinfo') ?? '');
  return bogomips === null ? 2_000_000 : Math.round((Number(bogomips[1]) / 2) * 1000);
}
