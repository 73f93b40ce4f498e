import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { EMPTY, MANIFEST, type Manifest, TYPES } from '../formats/oci.ts';
import { isMissing } from '../host/files.ts';
import { badPemKey, noSuchFile, wrongSignature } from '../model/problems.ts';
import type { Repository } from './repository.ts';
import { uploadBytes } from './upload.ts';

/** Signatures of images as cosign makes and finds them: a payload that names a manifest, under a tag made of its digest. */

const ANNOTATION = 'dev.cosignproject.cosign/signature';

/** Signs a manifest with the private key in a file. */
export async function signImage(repository: Repository, digest: string, keyFile: string): Promise<void> {
  const key = keyIn(keyFile, 'private');
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': repository.name },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
  const { layers } = await uploadBytes(repository, payload, TYPES.cosign);
  await repository.putBlob(EMPTY.descriptor.digest, () => EMPTY.bytes);
  const signature = sign(algorithmOf(key), payload, key).toString('base64');
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: EMPTY.descriptor,
    layers: [{ ...layers[0]!, annotations: { [ANNOTATION]: signature } }],
  };
  await repository.putManifest(manifest, MANIFEST, tagOf(digest));
}

/** Throws `wrong-signature` unless the owner of a public key has signed a manifest. */
export async function assertSigned(repository: Repository, digest: string, keyFile: string): Promise<void> {
  const key = keyIn(keyFile, 'public');
  const found = await repository.findManifest(tagOf(digest));
  if (found === undefined) throw wrongSignature(repository.name, 'nobody has signed it');
  for (const layer of found.value.layers ?? []) {
    const signature = Buffer.from(layer.annotations?.[ANNOTATION] ?? '', 'base64');
    if (layer.mediaType !== TYPES.cosign || layer.size > 64 * 1024) continue;
    const payload = await repository.blobBytes(layer);
    if (!verify(algorithmOf(key), payload, key, signature)) continue;
    const { critical } = JSON.parse(payload.toString()) as {
      critical?: { image?: Record<string, string> };
    };
    if (critical?.image?.['docker-manifest-digest'] === digest) return;
  }
  throw wrongSignature(repository.name, 'it is signed by somebody else');
}

function tagOf(digest: string): string {
  return `${digest.replace(':', '-')}.sig`;
}

/** Ed25519 has its own hash. */
function algorithmOf({ asymmetricKeyType: type }: KeyObject): string | null {
  return type === 'ed25519' ? null : 'sha256';
}

function keyIn(file: string, kind: 'public' | 'private'): KeyObject {
  try {
    const pem = readFileSync(file, 'utf8');
    const key = kind === 'private' ? createPrivateKey(pem) : createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ec') return key;
  } catch (error) {
    if (isMissing(error)) throw noSuchFile(file);
  }
  throw badPemKey(file, kind);
}
