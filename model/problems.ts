/** Every mistake that a user can make, one constructor each, with its stable code and all of its wording. */

import { ARCH_ALIASES, ARCHS } from './arch.ts';
import { type Place, Problem } from './problem.ts';
import { bytes, count, either, nearest } from './words.ts';

function didYouMean(word: string, known: readonly string[]): string {
  const guess = nearest(word, known);
  return guess === undefined ? '' : ` (did you mean "${guess}"?)`;
}

function oneOf(known: readonly string[]): string | undefined {
  return known.length === 0 ? undefined : `use ${either([...known].sort())}`;
}

// Manifests

export const notYaml = (place: Place, detail: string) =>
  new Problem({ code: 'not-yaml', kind: 'manifest', message: `this is not YAML: ${detail}`, place });

export const emptyManifest = (file: string, schema: string) =>
  new Problem({
    code: 'empty-manifest',
    kind: 'manifest',
    message: `${file} is empty`,
    fix: `write what schema/${schema} describes, or remove the file`,
  });

export const unknownKey = (place: Place, key: string, known: readonly string[]) =>
  new Problem({
    code: 'unknown-key',
    kind: 'manifest',
    message: `unknown key "${key}"${didYouMean(key, known)}`,
    place,
    fix: oneOf(known),
  });

export const missingKey = (place: Place, key: string, description: string | undefined) =>
  new Problem({
    code: 'missing-key',
    kind: 'manifest',
    message: `the key "${key}" is missing`,
    place,
    fix: description && `add ${key}: ${description}`,
  });

export const wrongType = (place: Place, key: string, expected: string, found: string, quote: boolean) =>
  new Problem({
    code: 'wrong-type',
    kind: 'manifest',
    message: `${key} must be ${expected}, this is ${found}`,
    place,
    fix: quote ? 'put it in quotes' : undefined,
  });

export const invalidValue = (
  place: Place,
  key: string,
  expected: string,
  found: string,
  known: readonly string[] = [],
) =>
  new Problem({
    code: 'invalid-value',
    kind: 'manifest',
    message: `${key} must be ${expected}, not ${found}${didYouMean(found.replaceAll('"', ''), known)}`,
    place,
  });

export const notBuiltYet = (place: Place, key: string) =>
  new Problem({
    code: 'not-yet',
    kind: 'manifest',
    message: `${key} is understood, but this version of smol cannot do its work yet`,
    place,
    fix: `remove ${key}, or wait for a version that can: nothing is ignored silently`,
  });

export const folderNotBuiltYet = (service: string, folder: string) =>
  new Problem({
    code: 'not-yet',
    kind: 'manifest',
    message: `services/${service}/${folder} is understood, but this version of smol cannot do its work yet`,
    fix: `move ${folder} away, or wait for a version that can: nothing is ignored silently`,
  });

const unknownName = (what: string, name: string, known: readonly string[], place: Place | undefined, fix?: string) =>
  new Problem({
    code: `unknown-${what}`,
    kind: place === undefined ? 'usage' : 'manifest',
    message: `there is no ${what} "${name}"${didYouMean(name, known)}`,
    place,
    fix: fix ?? oneOf(known),
  });

export const unknownService = (name: string, known: readonly string[]) =>
  unknownName('service', name, known, undefined, `${oneOf(known)}, or write services/${name}/service.yaml`);
export const unknownRelease = (name: string, known: readonly string[], place?: Place) =>
  unknownName('release', name, known, place);
export const unknownKernel = (name: string, known: readonly string[], place?: Place) =>
  unknownName('kernel', name, known, place);
export const unknownSet = (name: string, known: readonly string[], place?: Place) =>
  unknownName('set', name, known, place);
export const unknownArch = (name: string, place?: Place) =>
  new Problem({
    code: 'unknown-arch',
    kind: place === undefined ? 'usage' : 'manifest',
    message: `there is no architecture "${name}"${didYouMean(name, [...ARCHS, ...Object.keys(ARCH_ALIASES)])}`,
    place,
    fix: `use ${either(ARCHS)}`,
  });
export const unsupportedArch = (what: string, arch: string, archs: readonly string[]) =>
  new Problem({
    code: 'unsupported-arch',
    kind: 'usage',
    message: `${what} is not made for ${arch}`,
    fix: `use --arch ${either(archs)}`,
  });

export const guestMismatch = (
  kernel: { name: string; guest: string; place: Place | undefined },
  release: { name: string; guest: string; place: Place },
) =>
  new Problem({
    code: 'guest-mismatch',
    kind: 'manifest',
    message: `the kernel ${kernel.name} is of ${kernel.guest}, but the release ${release.name} is of ${release.guest}`,
    place: kernel.place,
    second: { place: release.place, label: `the release is of ${release.guest}` },
    fix: `name a kernel of ${release.guest} in the service's kernel: key`,
  });

export const missingRc = (service: string, folder: string) =>
  new Problem({
    code: 'missing-rc',
    kind: 'manifest',
    message: `the service ${service} has no etc/rc, so its image would start nothing`,
    fix: `write ${folder}/etc/rc: a shell script that the guest runs at boot`,
  });

export const missingRootdir = (place: Place, folder: string) =>
  new Problem({ code: 'missing-rootdir', kind: 'manifest', message: `there is no directory ${folder}`, place });

export const unmatchedFile = (path: string) =>
  new Problem({
    code: 'unmatched-file',
    kind: 'manifest',
    message: `files: names ${path}, which is in no set and no overlay`,
    fix: 'mend the path in service.yaml, or put the file into root/ of the service',
  });

export const badDate = (place: Place, date: string) =>
  new Problem({
    code: 'bad-date',
    kind: 'manifest',
    message: `there is no day ${date}, or it is after January 2038`,
    place,
  });

export const longPartitionName = (name: string) =>
  new Problem({
    code: 'long-name',
    kind: 'manifest',
    message: `the partition name "${name}" is longer than the 36 characters that GPT has room for`,
    fix: 'give the service a shorter name',
  });

export const badServiceName = (name: string) =>
  new Problem({
    code: 'bad-name',
    kind: 'usage',
    message: `"${name}" is no name for a service`,
    fix: 'use lower-case letters, digits, - and _, beginning with a letter',
  });

// Projects

export const noProject = (from: string) =>
  new Problem({
    code: 'no-project',
    kind: 'usage',
    message: `there is no smol.config.yaml in ${from} or above it`,
    fix: 'run `smol init` to start a project here',
  });

export const fileExists = (file: string) =>
  new Problem({ code: 'exists', kind: 'usage', message: `${file} is there already`, fix: 'nothing was changed' });

export const usage = (message: string, fix = 'run `smol --help`') =>
  new Problem({ code: 'usage', kind: 'usage', message, fix });

export const noHistory = (target: string) =>
  new Problem({
    code: 'no-history',
    kind: 'usage',
    message: `${target} has not been built here yet`,
    fix: 'build first; then `smol why` and `smol trace` can say what that did',
  });

// Sources

export const httpStatus = (url: string, status: number, from: string | undefined) =>
  new Problem({
    code: 'http-status',
    kind: 'step',
    message: `${url} answered ${status}${from === undefined ? '' : ` (asked as ${from})`}`,
    fix:
      status === 404
        ? 'is the address right, and does the release have this set? A mirrors: line in smol.config.yaml can name another server'
        : 'try again later, or name another server with mirrors: in smol.config.yaml',
  });

export const unreachable = (url: string, detail: string) =>
  new Problem({
    code: 'unreachable',
    kind: 'environment',
    message: `${url} cannot be reached: ${detail}`,
    fix: 'check the network, name a mirror with mirrors: in smol.config.yaml, or drop the file into sets/<arch>/ or kernels/',
  });

export const truncated = (url: string, got: number, size: number) =>
  new Problem({
    code: 'truncated',
    kind: 'step',
    message: `${url} broke off after ${got} of ${size} bytes, each time it was tried`,
    fix: 'nothing of it was kept; try again later or name another server with mirrors:',
  });

export const notThatKind = (source: string, expected: string, found: string) =>
  new Problem({
    code: 'not-an-archive',
    kind: 'integrity',
    message: `${source} is not ${expected}: it begins like ${found}`,
    fix: 'look at the address in a browser; a page that says "not found" or asks to log in is a common cause',
  });

export const brokenArchive = (archive: string, detail: string) =>
  new Problem({
    code: 'broken-archive',
    kind: 'integrity',
    message: `${archive} cannot be unpacked: ${detail}`,
    fix: 'if the publisher has replaced it, run `smol update` to take the new one',
  });

export const wrongChecksum = (source: string, listed: string, found: string, where: string) =>
  new Problem({
    code: 'wrong-checksum',
    kind: 'integrity',
    message: `${source} is not what its publisher says it is`,
    detail: `${where} says ${listed}\nthe download has ${found}`,
    fix: 'nothing of it was kept; the server may be half way through an update: try again later',
  });

export const unpinned = (sources: readonly string[]) =>
  new Problem({
    code: 'unpinned',
    kind: 'integrity',
    message: `${count(sources.length, 'source')} that the build needs ${sources.length === 1 ? 'is' : 'are'} not pinned, and pins are frozen`,
    detail: sources.join('\n'),
    fix: 'build once without --frozen (CI=true means it too; --no-frozen undoes that), and commit smol.lock.yaml',
  });

export const offline = (sources: readonly string[]) =>
  new Problem({
    code: 'offline',
    kind: 'environment',
    message: `${count(sources.length, 'source')} that the build needs ${sources.length === 1 ? 'is' : 'are'} not in the cache, and --offline keeps it from fetching`,
    detail: sources.join('\n'),
    fix: 'build once without --offline, or drop the files into sets/<arch>/ and kernels/',
  });

export const noChecksum = (source: string, where: string) =>
  new Problem({
    code: 'no-checksum',
    kind: 'integrity',
    message: `${where} has no checksum for ${source}`,
    fix: 'is the address in sets/ or kernels/ right?',
  });

export const pinMismatch = (source: string, pinned: string, found: string) =>
  new Problem({
    code: 'pin-mismatch',
    kind: 'integrity',
    message: `${source} has changed since it was pinned`,
    detail: `smol.lock.yaml has sha256 ${pinned}\nnow it is          ${found}`,
    fix: `if that is expected, run \`smol update '${source}'\` to pin what is there now`,
  });

export const packageGone = (source: string, pinned: string) =>
  new Problem({
    code: 'package-gone',
    kind: 'integrity',
    message: `${source} is pinned to ${pinned}, which this host's package sources do not have any more`,
    fix: `run \`smol update '${source}'\` to pin the version that they have now`,
  });

export const noPackage = (source: string, detail: string) =>
  new Problem({
    code: 'no-package',
    kind: 'environment',
    message: `${source} is in none of this host's package sources`,
    detail,
    fix: 'Debian packages need a host with apt and its source list: Debian, or a container of it',
  });

export const missingFile = (source: string, file: string) =>
  new Problem({ code: 'missing-file', kind: 'step', message: `${source} has no file ${file}` });

export const noSuchFile = (file: string) =>
  new Problem({ code: 'no-such-file', kind: 'step', message: `there is no file ${file}` });

export const inputChanged = (folder: string) =>
  new Problem({
    code: 'input-changed',
    kind: 'step',
    message: `${folder} was changed while it was read`,
    fix: 'nothing was kept of it; build again when the change is complete',
  });

// Trees and images

export const unsafePath = (archive: string, path: string, why: string) =>
  new Problem({
    code: 'unsafe-path',
    kind: 'integrity',
    message: `${archive} holds "${path}", which ${why}`,
    fix: 'do not use this archive: it may be an attack',
  });

export const unsupportedEntry = (archive: string, path: string, what: string) =>
  new Problem({
    code: 'unsupported-entry',
    kind: 'step',
    message: `${archive} holds "${path}", ${what}, which smol cannot put into an image`,
  });

export const layerConflict = (path: string, above: string, aboveType: string, below: string, belowType: string) =>
  new Problem({
    code: 'layer-conflict',
    kind: 'step',
    message: `/${path} is a ${aboveType} in ${above}, but a ${belowType} in ${below}`,
    fix: 'rename one of the two, or leave out what brings it',
  });

export const imageTooSmall = (
  target: string,
  size: number,
  need: number,
  largest: readonly { path: string; size: number }[],
) =>
  new Problem({
    code: 'image-too-small',
    kind: 'step',
    message: `${target} does not fit: the image has ${bytes(size)}, ${bytes(need - size)} too little`,
    detail: `the largest directories:\n${largest.map((row) => `${bytes(row.size).padStart(10)}  /${row.path}`).join('\n')}`,
    fix: `set size: ${Math.ceil(need / 1024 ** 2)}M or more in its service.yaml, or leave out a set`,
  });

export const noSuchPin = (name: string, known: readonly string[]) =>
  new Problem({
    code: 'no-such-pin',
    kind: 'usage',
    message: `nothing named ${name} is pinned${didYouMean(name, known)}`,
    fix: 'smol.lock.yaml has the names; the name of a service means all that it needs',
  });

// The host

export const diskFull = (where: string) =>
  new Problem({
    code: 'disk-full',
    kind: 'environment',
    message: `there is no room left on the disk of ${where}`,
    fix: 'free some room, or set SMOL_CACHE to a directory on another disk; what was complete is kept',
  });

export const unreliableCache = (detail: string) =>
  new Problem({
    code: 'unreliable-cache',
    kind: 'environment',
    message: `${detail} again and again, each time right after it was made`,
    fix: 'something else changes the cache, or its disk fails: set SMOL_CACHE to a directory on another disk',
  });

export const noAccess = (where: string, detail: string) =>
  new Problem({
    code: 'no-access',
    kind: 'environment',
    message: `${where} is not accessible: ${detail}`,
    fix: 'check its owner and mode; SMOL_CACHE can name another directory for the cache',
  });

export const missingPrograms = (programs: readonly string[], install: string | undefined) =>
  new Problem({
    code: 'missing-program',
    kind: 'environment',
    message: `this host lacks ${either(programs, 'and')}`,
    fix: install === undefined ? 'install it and make sure that it is on the PATH' : `run: ${install}`,
  });

export const installFailed = (install: string, detail: string) =>
  new Problem({
    code: 'install-failed',
    kind: 'environment',
    message: `\`${install}\` failed`,
    detail,
    fix: 'mend what it says, then try again',
  });

export const programFailed = (program: string, detail: string) =>
  new Problem({ code: 'program-failed', kind: 'step', message: `${program} failed`, detail: detail || undefined });

// Virtual machines

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
