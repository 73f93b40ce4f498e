import type { Arch } from '../model/arch.ts';

/** Manifests of OCI images and artifacts (OCI image specification 1.1), as far as VMs need them. */

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:...` */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly platform?: Platform | undefined;
  readonly artifactType?: string | undefined;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';
/** What a registry may have that docker's own tools put there. */
export const ACCEPTED = [
  MANIFEST,
  INDEX,
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const;

/** The type of a VM's image, and of its parts. */
export const TYPES = {
  image: 'application/vnd.smol.image.v1',
  machine: 'application/vnd.smol.machine.v1+json',
  kernel: 'application/vnd.smol.kernel.v1+gzip',
  initrd: 'application/vnd.smol.initrd.v1+gzip',
  disk: 'application/vnd.smol.disk.v1+gzip',
  chunks: 'application/vnd.smol.disk.chunks.v1+json',
  /** What smolBSD pushes: a disk as it is, and nothing else. */
  rawDisk: 'application/x-raw-disk-image',
  statement: 'application/vnd.in-toto+json',
  spdx: 'application/spdx+json',
  cosign: 'application/vnd.dev.cosign.simplesigning.v1+json',
} as const;

/** A digest as descriptors have it, of its hex digits; and the other way. */
export const digestOf = (hex: string) => `sha256:${hex}`;
export const hexOf = (digest: string) => digest.replace('sha256:', '');

/** The configuration of what has none (image specification, "Guidance for an Empty Descriptor"). */
export const EMPTY = {
  bytes: Buffer.from('{}'),
  descriptor: {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    size: 2,
  },
} as const;

/** The name of a file for who pulls it without smol. */
export const TITLE = 'org.opencontainers.image.title';

/** Architectures as GOARCH has them, which the specification takes. */
const ARCHITECTURES: Readonly<Record<Arch, string>> = { amd64: 'amd64', i386: '386', 'evbarm-aarch64': 'arm64' };

export function platformOf(guest: string, arch: Arch): Platform {
  return { os: guest, architecture: ARCHITECTURES[arch] };
}

/** Whether something is for an architecture. */
export function isFor({ platform }: Descriptor, arch: Arch): boolean {
  return platform?.architecture === ARCHITECTURES[arch];
}

/** The tag under which a registry that knows no referrers keeps them (distribution specification, "Referrers Tag Schema"). */
export function referrersTag(digest: string): string {
  return digest.replace(':', '-');
}
