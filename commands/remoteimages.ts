import { type Descriptor, type Manifest, TYPES } from '../formats/oci.ts';
import { referenceText } from '../formats/reference.ts';
import { Repository } from '../registry/repository.ts';
import { referenceFrom } from './references.ts';
import type { Caller } from './session.ts';

export interface RemoteImage {
  readonly reference: string;
  readonly digest: string;
  /** The platforms that it has an image for, as `netbsd/amd64`; none are known of one that says none. */
  readonly platforms: readonly string[];
  /** Bytes of its layers; undefined where there is an image for each platform. */
  readonly size: number | undefined;
}

/** The images that a repository of a registry has, by their tags. */
export async function listRemote(
  { folder, signal }: Pick<Caller, 'folder' | 'signal'>,
  name: string,
): Promise<RemoteImage[]> {
  const reference = await referenceFrom({ folder }, name);
  const repository = new Repository(reference, 'pull', signal);
  const tags = (await repository.tags()).filter((tag) => !/^sha256-[0-9a-f]{64}/.test(tag));
  const found: RemoteImage[] = [];
  for (const tag of tags.sort()) {
    const manifest = await repository.findManifest(tag);
    if (manifest === undefined) continue;
    const { value, digest } = manifest;
    const size = value.manifests === undefined ? sizeOf(value) : undefined;
    const platforms = value.manifests?.map(platformText) ?? (await platformsOf(repository, value));
    found.push({ reference: referenceText({ ...reference, tag }), digest, platforms, size });
  }
  return found;
}

function sizeOf({ layers = [] }: Manifest): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}

function platformText({ platform }: Descriptor): string {
  return `${platform?.os}/${platform?.architecture}`;
}

async function platformsOf(repository: Repository, { config }: Manifest): Promise<string[]> {
  if (config?.mediaType !== TYPES.machine) return [];
  const { guest, arch } = JSON.parse((await repository.blobBytes(config)).toString()) as Record<string, string>;
  return [`${guest}/${arch}`];
}
