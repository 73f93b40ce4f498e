import { Problem } from '../problem.ts';
import { count } from '../words.ts';
import { didYouMean } from './names.ts';

/** What can go wrong with a VM. */

export const portBusy = (address: string, port: number, other: string | undefined) =>
  new Problem({
    code: 'port-busy',
    kind: 'environment',
    message: `port ${port} of ${address} is taken${other === undefined ? '' : ` by the VM ${other}`}`,
    fix:
      other === undefined
        ? `choose another with --port ${port + 1}:<guest port>, or stop what listens there`
        : `choose another with --port ${port + 1}:<guest port>, or run \`smol stop ${other}\``,
  });

export const badAddress = (forward: string, detail: string) =>
  new Problem({
    code: 'bad-address',
    kind: 'usage',
    message: `${forward} cannot be listened on: ${detail}`,
    fix: 'ports are 1 to 65535, those below 1024 are for root, and the address must be one of this host',
  });

export const noPvh = (kernel: string) =>
  new Problem({
    code: 'no-pvh',
    kind: 'manifest',
    message: `the kernel ${kernel} has no PVH entry, so QEMU's microvm cannot start it`,
    fix: "use a kernel built with PVH support, such as NetBSD's MICROVM or SMOL configuration",
  });

export const noShare = (kernel: string) =>
  new Problem({
    code: 'no-share',
    kind: 'manifest',
    message: `the kernel ${kernel} has no 9p, so it cannot mount a shared directory`,
    fix: 'leave out share:, or name a kernel with the feature 9p',
  });

export const guestPanicked = (vm: string, line: string, tail: string) =>
  new Problem({ code: 'guest-panicked', kind: 'step', message: `the guest of ${vm} panicked: ${line}`, detail: tail });

export const guestSilent = (vm: string, seconds: number, what: string, tail: string) =>
  new Problem({
    code: 'guest-silent',
    kind: 'step',
    message: `${vm} has not answered ${what} within ${count(seconds, 'second')}, so it was stopped`,
    detail: tail || '(its console was silent too)',
    fix: 'look at the console above; if the host is only slow, raise run: ready: timeout: or give --timeout',
  });

export const guestExited = (vm: string, how: string, tail: string) =>
  new Problem({ code: 'guest-exited', kind: 'step', message: `${vm} ended before it answered: ${how}`, detail: tail });

export const vmRunning = (vm: string, pid: number) =>
  new Problem({
    code: 'vm-running',
    kind: 'usage',
    message: `${vm} is running already (pid ${pid})`,
    fix: `stop it with \`smol stop ${vm}\`, or start another with --name`,
  });

export const noSuchVm = (vm: string, running: readonly string[]) =>
  new Problem({
    code: 'no-such-vm',
    kind: 'usage',
    message: `no VM "${vm}" is running${didYouMean(vm, running)}`,
    fix: running.length === 0 ? 'nothing is running here: see `smol ps`' : `running: ${running.join(', ')}`,
  });

export const unreadableFile = (name: string, file: string) =>
  new Problem({
    code: 'missing-file',
    kind: 'usage',
    message: `the guest is to have ${file} as ${name}, and it cannot be read`,
    fix: `give another one with --file ${name}=<path>, or make it`,
  });
