/** Names of images in registries: `registry.example.org/team/rescue:1.2`, as docker and oras write them. */

export interface Reference {
  /** Of the registry, with its port, if it has one. */
  readonly host: string;
  /** `team/rescue` */
  readonly repository: string;
  readonly tag: string;
  /** Of the manifest, in place of a tag: `sha256:...`. */
  readonly digest: string | undefined;
  /** Whether it is asked by plain HTTP: a registry of this host, as docker takes it, or one that is written so. */
  readonly plain: boolean;
}

/** OCI distribution specification, "Pulling manifests". */
const REPOSITORY = /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/** Whether somebody means an image in a registry, not one of this project: no service's name has a slash in it. */
export function isReference(text: string): boolean {
  return text.includes('/');
}

/** What a reference names, or undefined if it is none. Without a tag it is `latest`. */
export function parseReference(text: string): Reference | undefined {
  const [, scheme, host = '', rest = ''] = /^(?:(https?):\/\/)?([^/]+)\/(.+)$/.exec(text) ?? [];
  const [named = '', digest] = rest.split('@');
  const [, repository = '', tag] = /^(.*?)(?::([^:/]*))?$/.exec(named) ?? [];
  const isHost = scheme !== undefined || host.includes('.') || host.includes(':') || host === 'localhost';
  if (!isHost || !REPOSITORY.test(repository) || !TAG.test(tag ?? 'latest')) return undefined;
  if (digest !== undefined && !DIGEST.test(digest)) return undefined;
  return {
    host,
    repository,
    tag: tag ?? 'latest',
    digest,
    plain: scheme === 'http' || (scheme === undefined && LOCAL.test(host)),
  };
}

/** As it is written: with its tag, or its digest. */
export function referenceText({ host, repository, tag, digest, plain }: Reference): string {
  const scheme = plain && !LOCAL.test(host) ? 'http://' : '';
  return `${scheme}${host}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}
