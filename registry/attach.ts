import { type Descriptor, EMPTY, INDEX, MANIFEST, type Manifest, referrersTag } from '../formats/oci.ts';
import type { Repository } from './repository.ts';
import { uploadBytes } from './upload.ts';

/**
 * Attaches a document to a manifest, as an artifact whose subject that is. A registry that keeps no list of what refers to a
 * manifest gets it as an index under a tag (distribution specification, "Referrers Tag Schema").
 */
export async function attach(
  repository: Repository,
  { mediaType, digest, size }: Descriptor,
  document: object,
  type: string,
): Promise<void> {
  const subject = { mediaType, digest, size };
  const { layers } = await uploadBytes(repository, Buffer.from(JSON.stringify(document)), type);
  await repository.putBlob(EMPTY.descriptor.digest, () => EMPTY.bytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: type,
    config: EMPTY.descriptor,
    layers,
    subject,
  };
  const { isReferrer, ...attached } = await repository.putManifest(manifest, MANIFEST);
  if (isReferrer) return;
  const tag = referrersTag(digest);
  const before = (await repository.findManifest(tag))?.value.manifests ?? [];
  if (before.some((each) => each.digest === attached.digest)) return;
  const manifests = [...before, { ...attached, artifactType: type }];
  await repository.putManifest({ schemaVersion: 2, mediaType: INDEX, manifests }, INDEX, tag);
}
