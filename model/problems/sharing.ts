import { Problem } from '../problem.ts';

/** What can be wrong with what several machines share. */

export const cacheRequired = (url: string, detail: string) =>
  new Problem({
    code: 'cache-required',
    kind: 'environment',
    message: `the remote cache ${url} cannot be used: ${detail}`,
    fix: 'leave --require-cache out to build without it',
  });

export const noRemoteCache = () =>
  new Problem({
    code: 'no-remote-cache',
    kind: 'usage',
    message: 'smol.config.yaml names no remote cache',
    fix: 'add cache: {remote: {url: ..., trust: [...]}}; docs/sharing.md tells how',
  });

export const noSigningKey = (url: string) =>
  new Problem({
    code: 'no-signing-key',
    kind: 'environment',
    message: `what is given to ${url} must be signed, and there is no key to sign with`,
    fix: 'set SMOL_CACHE_KEY to a private key, or to the file of one (`smol cache key <file>` makes it); or only read, with --cache local:rw,remote:r',
  });

export const badSigningKey = (where: string) =>
  new Problem({
    code: 'bad-signing-key',
    kind: 'environment',
    message: `${where} is no private key of Ed25519`,
    fix: '`smol cache key <file>` makes one, and so does `openssl genpkey -algorithm ed25519`',
  });

export const madeOtherwise = (step: string) =>
  new Problem({
    code: 'made-otherwise',
    kind: 'step',
    message: `${step} made something else of the same inputs than it did before, or elsewhere`,
    fix: 'build again to go on with what it makes now; `smol build --verify` says what differs from run to run',
  });
