import { type Place, Problem } from '../problem.ts';
import { bytes, count } from '../words.ts';
import { didYouMean } from './names.ts';

/** What can be wrong with what comes from elsewhere. */

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

export const archiveBomb = (archive: string, limit: number) =>
  new Problem({
    code: 'archive-bomb',
    kind: 'integrity',
    message: `${archive} unpacks to more than ${bytes(limit)}`,
    fix: 'do not use this archive: it is made to fill disks',
  });

export const wrongChecksum = (source: string, listed: string, found: string, where: string) =>
  new Problem({
    code: 'wrong-checksum',
    kind: 'integrity',
    message: `${source} is not what its publisher says it is`,
    detail: `${where} says ${listed}\nthe download has ${found}`,
    fix: 'nothing of it was kept; the server may be half way through an update: try again later',
  });

export const unknownPackage = (pattern: string, by: string | undefined, known: readonly string[]) =>
  new Problem({
    code: 'unknown-package',
    kind: 'manifest',
    message:
      by === undefined
        ? `there is no package ${pattern}${didYouMean(pattern, known)}`
        : `${by} needs ${pattern}, which there is not`,
    fix:
      by === undefined
        ? 'mend packages: in service.yaml; a name means its newest version, "name>=1.2" or "name-1.2" says which'
        : 'the list of packages is not consistent: `smol update` takes the newest one',
  });

/** `by`: whose dependency asked for the second one. */
export const packageConflict = (one: string, other: string, by: string | undefined) =>
  new Problem({
    code: 'package-conflict',
    kind: 'manifest',
    message: `the packages ${one} and ${other} cannot be installed together${by === undefined ? '' : `: ${by} needs ${other}`}`,
    fix: 'remove what needs one of the two from packages:',
  });

export const noPackages = (release: string, place: Place | undefined) =>
  new Problem({
    code: 'no-packages',
    kind: 'manifest',
    message: `the release ${release} does not say where its packages come from`,
    place,
    fix: `add packages: <URL of the directory with pkg_summary.gz> to sets/${release}.yaml`,
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

export const nothingListed = (source: string, folder: string) =>
  new Problem({
    code: 'nothing-listed',
    kind: 'step',
    message: `${folder} lists nothing that ${source} could stand for`,
    fix: 'look at the directory, and write the name as it is there',
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

export const brokenExport = (file: string, detail: string) =>
  new Problem({
    code: 'broken-export',
    kind: 'integrity',
    message: `${file} cannot be imported: ${detail}`,
    fix: 'what came before that is in the cache and was verified; write the export again, or build without it',
  });

export const inputChanged = (folder: string) =>
  new Problem({
    code: 'input-changed',
    kind: 'step',
    message: `${folder} was changed while it was read`,
    fix: 'nothing was kept of it; build again when the change is complete',
  });
