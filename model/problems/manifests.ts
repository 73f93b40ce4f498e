import { ARCH_ALIASES, ARCHS } from '../arch.ts';
import { type Place, Problem } from '../problem.ts';
import { either } from '../words.ts';
import { didYouMean, oneOf } from './names.ts';

/** Mistakes in manifests, and names that mean nothing. */

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

export const unknownService = (name: string, known: readonly string[], place?: Place) =>
  unknownName('service', name, known, place, `${oneOf(known)}, or write services/${name}/service.yaml`);
export const noRoot = (place: Place) =>
  missingKey(place, 'sets', 'the sets that the image is made of; or from: another service');
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
    others: [{ place: release.place, label: `the release is of ${release.guest}` }],
    fix: `name a kernel of ${release.guest} in the service's kernel: key`,
  });

/** `edges` lead from the first service back to itself: each with the place where its from: names the next. */
export const cycle = (edges: readonly { readonly from: string; readonly to: string; readonly place: Place }[]) => {
  const labels = edges.map(({ from, to, place }) => ({ place, label: `${from} is made from ${to}` }));
  return new Problem({
    code: 'cycle',
    kind: 'manifest',
    message: `the service ${edges[0]!.from} is made from itself`,
    ...labels[0],
    others: labels.slice(1),
    fix: 'remove one of these from: keys',
  });
};

export const guestCannotMount = (guest: string, fs: string, able: readonly string[], place: Place | undefined) =>
  new Problem({
    code: 'guest-cannot-mount',
    kind: 'manifest',
    message: `${guest} cannot have its root on ${fs}`,
    place,
    fix: oneOf(able),
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

export const unmatchedPart = (set: string, part: string, known: readonly string[]) =>
  new Problem({
    code: 'unmatched-part',
    kind: 'manifest',
    message: `${set} has nothing that matches "${part}"${didYouMean(part, known)}`,
    fix: 'mend the part in sets: of service.yaml; * stands for anything within a name, ** for any directories',
  });

export const emptyPart = (set: string, place: Place | undefined) =>
  new Problem({
    code: 'invalid-value',
    kind: 'manifest',
    message: `"${set}" names no part after its colon`,
    place,
    fix: 'write parts such as comp:usr/bin/strip,usr/lib/*.so, or leave out the colon for all of the set',
  });

export const conflictingKeys = (place: Place, one: string, other: string) =>
  new Problem({
    code: 'conflicting-keys',
    kind: 'manifest',
    message: `${one} and ${other} do not go together`,
    place,
    fix: `remove one of the two`,
  });

export const oneKindOfCheck = (place: Place, kinds: readonly string[]) =>
  new Problem({
    code: 'no-check',
    kind: 'manifest',
    message: `a check has one of ${either(kinds)}`,
    place,
    fix: 'split it, or say what it is to look at',
  });

export const unpinnedFinalizer = (place: Place, url: string) =>
  new Problem({
    code: 'unpinned-finalizer',
    kind: 'manifest',
    message: `${url} is not encrypted, so anybody on the way could replace the script`,
    place,
    fix: 'add sha256: of the script, or use https',
  });

export const missingBeside = (place: Place, file: string) =>
  new Problem({ code: 'missing-file', kind: 'manifest', message: `there is no file ${file}`, place });

/** `line` counts from 1; 0 is the whole file. */
export const badSpecification = (file: string, line: number, why: string) =>
  new Problem({
    code: 'bad-mtree',
    kind: 'manifest',
    message: `${file}${line === 0 ? '' : `, line ${line}`}: ${why}`,
    fix: 'mend the specification; mtree(5) says what it may have',
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
