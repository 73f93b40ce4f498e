import { type Place, Problem } from '../problem.ts';
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

export const noSuchVm = (vm: string, known: readonly string[]) =>
  new Problem({
    code: 'no-such-vm',
    kind: 'usage',
    message: `there is no VM "${vm}"${didYouMean(vm, known)}`,
    fix: known.length === 0 ? '`smol run` starts one' : `there is ${known.join(', ')}`,
  });

export const unreadableFile = (name: string, file: string) =>
  new Problem({
    code: 'missing-file',
    kind: 'usage',
    message: `the guest is to have ${file} as ${name}, and it cannot be read`,
    fix: `give another one with --file ${name}=<path>, or make it`,
  });

export const unknownKernelKind = (kernel: string) =>
  new Problem({
    code: 'unknown-kernel-kind',
    kind: 'usage',
    message: `${kernel} is no kernel of NetBSD or Linux that QEMU can load`,
    fix: 'give an ELF kernel with PVH support, a bzImage, or an Image of arm64; one in a .gz must be unpacked first',
  });

export const nothingToRun = () =>
  new Problem({
    code: 'usage',
    kind: 'usage',
    message: 'what is to be run?',
    fix: 'name a service, or give --kernel, and --image if it needs one; or a file of settings with --conf',
  });

export const changedMeanwhile = (file: string) =>
  new Problem({
    code: 'changed-meanwhile',
    kind: 'usage',
    message: `${file} was changed by somebody else since it was looked at`,
    fix: 'look at it again: nothing was written',
  });

export const notOurs = (service: string) =>
  new Problem({
    code: 'not-ours',
    kind: 'usage',
    message: `the service ${service} comes with smol, and is not changed`,
    fix: `copy its folder into services/ of the project, and change that; or say it for one machine`,
  });

export const noSuchStep = (step: string) =>
  new Problem({
    code: 'no-such-step',
    kind: 'usage',
    message: `this project has not made the step ${step}, or the cache has lost its record`,
    fix: 'build what it belongs to',
  });

export const pagePortBusy = (port: number) =>
  new Problem({
    code: 'port-busy',
    kind: 'environment',
    message: `port ${port} is taken`,
    fix: 'give another one with --port, or none: then any that is free is taken',
  });

export const badRequest = (what: string) =>
  new Problem({ code: 'bad-request', kind: 'usage', message: what, fix: 'see /api/v1/openapi.json' });

export const busyBuilding = (services: readonly string[]) =>
  new Problem({
    code: 'busy-building',
    kind: 'usage',
    message: `a build of ${services.join(', ')} is under way`,
    fix: 'wait for it, or cancel it',
  });

export const diskThere = (name: string) =>
  new Problem({
    code: 'disk-there',
    kind: 'usage',
    message: `the VM ${name} has a disk already, which --grow does not change`,
    fix: '--fresh begins anew with a larger one; what is on the old one is gone then',
  });

export const olderDisk = (vm: string) =>
  new Problem({
    code: 'older-disk',
    kind: 'usage',
    message: `the VM ${vm} has a disk of its own over an image that was built anew since`,
    fix: `--resume goes on with that disk and the old image; --fresh begins anew with the new one, and what ${vm} wrote is lost`,
  });

export const vmNotRunning = (vm: string) =>
  new Problem({
    code: 'vm-not-running',
    kind: 'usage',
    message: `${vm} is not running`,
    fix: `\`smol restart ${vm}\` starts it`,
  });

export const vmProtected = (vm: string) =>
  new Problem({
    code: 'vm-protected',
    kind: 'usage',
    message: `${vm} is protected: it is neither stopped nor removed`,
    fix: `\`smol protect ${vm} --off\` lets it be`,
  });

export const vmNotStopped = (vm: string) =>
  new Problem({
    code: 'vm-running',
    kind: 'usage',
    message: `${vm} is running`,
    fix: `stop it first with \`smol stop ${vm}\`, or give --force`,
  });

export const consoleTaken = (vm: string, pid: number) =>
  new Problem({
    code: 'console-taken',
    kind: 'usage',
    message: `somebody is at the console of ${vm} already (pid ${pid})`,
    fix: `\`smol logs -f ${vm}\` shows it too`,
  });

export const waitedTooLong = (what: string, seconds: number, tail: string) =>
  new Problem({
    code: 'waited-too-long',
    kind: 'step',
    message: `${what} did not happen within ${count(seconds, 'second')}`,
    detail: tail === '' ? undefined : tail,
  });

export const confCommand = (place: Place) =>
  new Problem({
    code: 'conf-command',
    kind: 'manifest',
    message: 'this is a command; the file is read, and nothing in it is run',
    place,
    fix: 'write what it would give, as key=value',
  });

export const badConfValue = (file: string, key: string, value: string, expected: string) =>
  new Problem({
    code: 'invalid-value',
    kind: 'manifest',
    message: `${key} of ${file} must be ${expected}, not "${value}"`,
  });

export const noSuchScript = (service: string, at: string | undefined, known: readonly string[]) =>
  new Problem({
    code: 'no-such-script',
    kind: 'usage',
    message:
      at === undefined || known.length === 0
        ? `${service} has no scripts`
        : `${service} has no script ${at}${didYouMean(at, known)}`,
    fix: known.length === 0 ? `write services/${service}/postinst/10-first.sh` : `it has ${known.join(', ')}`,
  });

export const scriptFailed = (label: string, code: number | null, tail: string) =>
  new Problem({
    code: 'script-failed',
    kind: 'step',
    message: `${label} exited with ${code ?? 'a signal'}`,
    detail: tail === '' ? undefined : tail,
    fix: 'mend it and build again: what came before it is cached; `smol shell` shows the tree that it got',
  });

export const scriptTimedOut = (label: string, seconds: number, tail = '') =>
  new Problem({
    code: 'script-timed-out',
    kind: 'step',
    message: `${label} was still running after ${count(seconds, 'second')}, and was ended`,
    detail: tail === '' ? undefined : tail,
    fix: 'if it needs longer, raise postinst: timeout: in service.yaml',
  });

/** `own`: the builder of the service, if it has one; `wanted`: the one that was asked for. */
export const notBaked = (service: string, own: string | undefined, wanted: string | undefined) =>
  new Problem({
    code: 'not-baked',
    kind: 'usage',
    message:
      own === undefined ? `no VM builds ${service}` : `the VM of ${own} builds ${service}, not that of ${wanted}`,
    fix:
      own === undefined
        ? `\`smol build ${service}\` builds it; with postinst: {in: builder} in service.yaml its scripts run in a VM`
        : `smol build ${own} --svcimg ${service}`,
  });

export const bakingUnfinished = (label: string, tail: string) =>
  new Problem({
    code: 'builder-unfinished',
    kind: 'step',
    message: `the builder VM ended before ${label} did`,
    detail: tail.trim() || undefined,
    fix: "the builder's /etc/rc must source basicrc or linuxrc, which do the job; and its memory must suffice",
  });

export const bakingBroke = (label: string, why: string) =>
  new Problem({
    code: 'builder-broke',
    kind: 'step',
    message: `the builder VM could not work with the disk of ${label}`,
    detail: why.trim() || undefined,
    fix: 'its kernel must know the file system; what the script started in the background must not keep the disk busy',
  });

export const unconfinable = (why: string) =>
  new Problem({
    code: 'unconfinable',
    kind: 'environment',
    message: 'this host does not let scripts be confined, so they are not run',
    detail: why,
    fix: 'allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; in a container, its security profile), or let them run in a VM: postinst: {in: builder}',
  });

export const jobUnfinished = (tail: string) =>
  new Problem({
    code: 'job-unfinished',
    kind: 'step',
    message: 'the VM ended before the job did, and left no results',
    detail: tail.replaceAll('\r', '').split('\n').slice(-20).join('\n').trim() || undefined,
    fix: "the service's /etc/rc must source basicrc or linuxrc, which do the job; and its memory must hold the files",
  });

export const jobTooLarge = (room: string) =>
  new Problem({
    code: 'job-too-large',
    kind: 'step',
    message: `what the job left in $OUT does not fit into ${room}`,
    fix: 'give it more room with --out-size',
  });

export const noSuchFolder = (folder: string) =>
  new Problem({ code: 'no-such-file', kind: 'usage', message: `there is no directory ${folder}` });

/** `missing`: what Firecracker cannot do for the machine; nothing if only it itself is not started. */
export const notThatVmm = (vm: string, missing: readonly string[]) =>
  new Problem({
    code: 'not-that-vmm',
    kind: 'usage',
    message: missing.length === 0 ? 'smol does not start Firecracker itself' : `Firecracker cannot run ${vm} as it is`,
    detail: missing.length === 0 ? undefined : missing.join('\n'),
    fix: 'with --print smol writes its configuration: firecracker --no-api --config-file <file>',
  });
