import { createHash } from 'node:crypto';
import { createWriteStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { type Chunk, compressDisk, type DiskChunks } from '../formats/diskchunks.ts';
import { type Descriptor, digestOf, TITLE, TYPES } from '../formats/oci.ts';
import { pieces, sha256 } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import type { Repository } from './repository.ts';

/** What went to a registry: descriptors for a manifest, and bytes that were really sent. */
export interface Uploaded {
  readonly layers: readonly Descriptor[];
  readonly sent: number;
}

/** Stores bytes as a layer. */
export async function uploadBytes(
  repository: Repository,
  bytes: Uint8Array,
  mediaType: string,
  title?: string,
): Promise<Uploaded> {
  const digest = digestOf(sha256(bytes));
  const isNew = await repository.putBlob(digest, () => bytes);
  const layer = { mediaType, digest, size: bytes.length, ...(title && { annotations: { [TITLE]: title } }) };
  return { layers: [layer], sent: isNew ? bytes.length : 0 };
}

/** Stores a file of the host, compressed: one that fits into memory. */
export async function uploadFile(
  repository: Repository,
  file: string,
  mediaType: string,
  title: string,
): Promise<Uploaded> {
  const bytes = await promisify<Buffer, Buffer>(gzip)(readFileSync(file));
  return uploadBytes(repository, bytes, mediaType, `${title}.gz`);
}

/** The layers that a disk became when it was last packed. */
export type PackedDisk = readonly [disk: Descriptor, chunks: Descriptor];

/**
 * Stores a disk as a layer of chunks, and another one with their index. `scratch` is a folder for the compressed disk. What
 * it became the last time, if that is known, need not be found out again where the registry has it.
 */
export async function uploadDisk(
  repository: Repository,
  file: string,
  name: string,
  scratch: () => Promise<string>,
  last: PackedDisk | undefined,
): Promise<{ layers: PackedDisk; sent: number }> {
  const isThere = async (layer: Descriptor) => repository.hasBlob(layer.digest);
  if (last !== undefined && (await isThere(last[0])) && (await isThere(last[1]))) return { layers: last, sent: 0 };
  const packed = path.join(await scratch(), 'disk.gz');
  const { index, digest, size } = await pack(file, packed);
  const isNew = await repository.putBlob(digest, () => ({ chunks: pieces(packed), size }));
  const annotations = { [TITLE]: `${name}.img.gz` };
  const disk: Descriptor = { mediaType: TYPES.disk, digest, size, annotations };
  const chunks = await uploadBytes(repository, Buffer.from(JSON.stringify(index)), TYPES.chunks);
  return { layers: [disk, chunks.layers[0]!], sent: (isNew ? size : 0) + chunks.sent };
}

async function pack(file: string, to: string): Promise<{ index: DiskChunks; digest: string; size: number }> {
  using image = new ImageFile(file);
  const chunks: Chunk[] = [];
  const hash = createHash('sha256');
  let size = 0;
  const members = async function* () {
    for await (const { member, chunk } of compressDisk(image.size, (at, length) => image.read(at, length))) {
      chunks.push(chunk);
      hash.update(member);
      size += member.length;
      yield member;
    }
  };
  await pipeline(Readable.from(members()), createWriteStream(to));
  return {
    index: { version: 1, size: image.size, chunks },
    digest: digestOf(hash.digest('hex')),
    size,
  };
}
