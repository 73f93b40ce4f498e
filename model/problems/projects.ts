import { Problem } from '../problem.ts';

/** Mistakes in how smol was called, and where. */

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
