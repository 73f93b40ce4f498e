import { Problem } from '../problem.ts';
import { either } from '../words.ts';

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

export const credentialHelperFailed = (program: string, host: string, detail: string) =>
  new Problem({
    code: 'credential-helper-failed',
    kind: 'environment',
    message: `${program} does not give the credentials for ${host}`,
    detail: detail || undefined,
    fix: "see credHelpers: and credsStore: in docker's config.json",
  });

export const badReference = (text: string) =>
  new Problem({
    code: 'bad-reference',
    kind: 'usage',
    message: `${text} names no image in a registry`,
    fix: 'write host[:port]/name[:tag], such as registry.example.org/team/rescue:1.2, in small letters',
  });

export const noRegistry = (image: string) =>
  new Problem({
    code: 'no-registry',
    kind: 'usage',
    message: `it is not said which registry ${image} is in`,
    fix: `write registry.example.org/team/${image}, or name it once with registry: registry.example.org/team in smol.config.yaml`,
  });

export const imageNotThere = (repository: string, name: string) =>
  new Problem({
    code: 'image-not-there',
    kind: 'step',
    message: `${repository} has no image ${name}`,
    fix: `\`smol images --remote ${repository}\` lists those that it has`,
  });

export const registryRefuses = (repository: string, host: string, status: number) =>
  new Problem({
    code: 'registry-refuses',
    kind: 'environment',
    message: `${repository} answers ${status}: it does not let us in`,
    fix: `log in with \`skopeo login ${host}\`, \`podman login\` or \`docker login\`, whose credentials are used`,
  });

export const registryAnswered = (repository: string, status: number, detail: string) =>
  new Problem({
    code: 'registry-answered',
    kind: 'step',
    message: `${repository} answers ${status}${detail === '' ? '' : `: ${detail}`}`,
    fix: 'try again later; if it stays so, ask who runs the registry',
  });

export const registryUnreachable = (repository: string, detail: string) =>
  new Problem({
    code: 'registry-unreachable',
    kind: 'environment',
    message: `${repository} cannot be reached: ${detail}`,
    fix: 'check the name and the network; a registry without TLS is written http://host/name',
  });

export const notAnImage = (reference: string, what: string) =>
  new Problem({
    code: 'not-an-image',
    kind: 'integrity',
    message: `${reference} is no image that can be run: ${what}`,
    fix: 'images are what `smol push` makes, or what smolBSD pushes as application/x-raw-disk-image',
  });

export const notForArch = (reference: string, arch: string, known: readonly string[]) =>
  new Problem({
    code: 'not-for-arch',
    kind: 'usage',
    message: `${reference} has no image for ${arch}`,
    fix: `it has one for ${known.join(', ')}: say which with --arch`,
  });

export const noKernelIn = (reference: string) =>
  new Problem({
    code: 'no-kernel-in-image',
    kind: 'usage',
    message: `${reference} is a disk without a kernel`,
    fix: 'give one with --kernel <file>',
  });

export const wrongSignature = (reference: string, detail: string) =>
  new Problem({
    code: 'wrong-signature',
    kind: 'integrity',
    message: `${reference} is not signed with that key: ${detail}`,
    fix: 'nothing was kept; ask who pushed it',
  });

export const badPemKey = (file: string, kind: 'public' | 'private') =>
  new Problem({
    code: 'bad-pem-key',
    kind: 'usage',
    message: `${file} is no ${kind} key of Ed25519 or ECDSA, as PEM without a password`,
    fix: '`openssl genpkey -algorithm ed25519` makes one, and `openssl pkey -pubout` gives its public half',
  });

export const executorMissing = (program: string) =>
  new Problem({
    code: 'executor-missing',
    kind: 'environment',
    message: `${program}, which executor: in smol.config.yaml names, is not on this host`,
    fix: 'install it, or leave executor: out to run steps here',
  });

export const executorLost = (step: string, program: string, code: number | null, tail: string) =>
  new Problem({
    code: 'executor-lost',
    kind: 'environment',
    message:
      code === 0
        ? `${program} ran ${step}, and nothing of it is in the cache here`
        : `${program} could not run ${step}: it exits with ${code}`,
    detail: tail || undefined,
    fix:
      code === 0
        ? 'its hosts must use the same cache directory, or write to the same remote cache: see docs/sharing.md'
        : 'see what it says above; without executor: in smol.config.yaml steps are run here',
  });

export const noSuchAction = (key: string) =>
  new Problem({
    code: 'no-such-action',
    kind: 'usage',
    message: `no step with the key ${key} was given to others to run`,
    fix: 'a build with executor: in smol.config.yaml writes one into the cache before it is run; is this the same cache?',
  });

export const foreignAction = (key: string, detail: string) =>
  new Problem({
    code: 'foreign-action',
    kind: 'environment',
    message: `the step ${key.slice(0, 12)}… cannot be run here: ${detail}`,
    fix: 'run the same versions of smol, and of the programs that it uses, on all hosts',
  });

export const notDeployable = (service: string, where: string, needs: readonly string[]) =>
  new Problem({
    code: 'not-deployable',
    kind: 'manifest',
    message: `${service} cannot be deployed to ${where}: it needs ${either(needs, 'and')} of the host`,
    fix: `take ${either(needs, 'and')} out of run: in service.yaml, or deploy it to systemd`,
  });

export const noEmulatorThere = (service: string, arch: string, where: string) =>
  new Problem({
    code: 'not-for-that-engine',
    kind: 'usage',
    message: `${service} is for ${arch}, and ${where} starts qemu-system-x86_64 alone`,
    fix: 'deploy it for amd64 or i386, or to systemd or kubernetes',
  });
