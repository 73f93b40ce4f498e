import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

/** Ed25519 (RFC 8032): who made a result, so that a cache that many can write to is believed no more than its keys. */

/** A public key as configurations have it: its 32 bytes in base64, after the name of what they are for. */
const PUBLIC = /^ed25519:[A-Za-z0-9+/]{43}=$/;
const PREFIX = 'ed25519:';

/** Whether a value is a public key as configurations have it. */
export function isPublicKey(value: unknown): value is string {
  return typeof value === 'string' && PUBLIC.test(value);
}

export interface Signature {
  /** The public key of who signed. */
  readonly by: string;
  /** Base64. */
  readonly signature: string;
}

/** A new private key as PKCS #8 PEM, which openssl(1) can read, and make, too. */
export function newPrivateKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** The public key of a private one, as configurations have it; undefined if this is no private key of Ed25519. */
export function publicKeyOf(privatePem: string): string | undefined {
  try {
    const key = createPrivateKey(privatePem);
    if (key.asymmetricKeyType !== 'ed25519') return undefined;
    const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
    return `${PREFIX}${Buffer.from(x, 'base64url').toString('base64')}`;
  } catch {
    return undefined;
  }
}

/** Signs bytes with a private key, which `publicKeyOf` knows. */
export function signed(bytes: Uint8Array, privatePem: string): Signature {
  return { by: publicKeyOf(privatePem)!, signature: sign(null, bytes, privatePem).toString('base64') };
}

/** Whether the bytes were signed by who the signature says. */
export function isSigned(bytes: Uint8Array, { by, signature }: Signature): boolean {
  try {
    return verify(null, bytes, keyObject(by), Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

function keyObject(text: string): KeyObject {
  if (!isPublicKey(text)) throw new Error(`${text} is no public key`);
  const x = Buffer.from(text.slice(PREFIX.length), 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
