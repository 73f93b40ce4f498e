import { createHash } from 'node:crypto';

/** A UUID (16 bytes, version 8: RFC 9562, section 5.8) that depends on the seed and the purpose alone. */
export function uuidFrom(seed: string, purpose: string): Buffer {
  const uuid = createHash('sha256').update(`${purpose}\0${seed}`).digest().subarray(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}

/** The bytes of a GUID as GPT has them: the first three fields are little-endian (UEFI 2.10, appendix A). */
export function guidBytes(uuid: string | Buffer): Buffer {
  const bytes = Buffer.from(typeof uuid === 'string' ? Buffer.from(uuid.replaceAll('-', ''), 'hex') : uuid);
  bytes.subarray(0, 4).swap32();
  bytes.subarray(4, 6).swap16();
  bytes.subarray(6, 8).swap16();
  return bytes;
}
