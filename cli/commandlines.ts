import { quote } from '../host/process.ts';
import { notThatVmm } from '../model/problems.ts';
import { argvOf } from '../vm/argv.ts';
import { apiCallsOf, firecrackerOf } from '../vm/firecracker.ts';
import type { Machine } from '../vm/machine.ts';

/**
 * How a machine is run by hand: QEMU's command line for sh(1), or Firecracker's configuration, or with `json` the requests to
 * its API. Throws `not-that-vmm`.
 */
export function commandText(
  machine: Machine,
  vmm: 'qemu' | 'firecracker',
  { print: isPrinted = false, json = false }: { print?: boolean | undefined; json?: boolean | undefined },
): string {
  if (vmm === 'qemu') return shellLine(argvOf(machine));
  const { config, missing } = firecrackerOf(machine);
  if (!isPrinted || missing.length > 0) throw notThatVmm(machine.name, missing);
  return JSON.stringify(json ? apiCallsOf(config) : config, undefined, 2);
}

/** A command line as one would type it for sh(1). */
function shellLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quote(word))).join(' ');
}
