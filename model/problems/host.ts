import { Problem } from '../problem.ts';
import { either } from '../words.ts';

/** What this host lacks. */

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
