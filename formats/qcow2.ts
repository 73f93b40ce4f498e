/** An empty qcow2 disk over another image: QEMU's docs/interop/qcow2.txt, version 3, clusters of 64 KiB. */

const CLUSTER = 65536;
/** One entry of the first-level table covers this many bytes. */
const L1_COVERS = (CLUSTER / 8) * CLUSTER;
const MAX_SIZE = L1_COVERS * (CLUSTER / 8);

/**
 * The whole file of an overlay of `size` bytes that reads through to the raw image `backing`. It has four clusters:
 * header, refcount table, refcount block, first-level table. Throws a RangeError above 4 TiB or for a very long name.
 */
export function qcow2Overlay(backing: string, size: number): Buffer {
  const name = Buffer.from(backing);
  if (size > MAX_SIZE || name.length > 1023)
    throw new RangeError('no such overlay: too large, or a name of over 1023 bytes');
  const disk = Buffer.alloc(4 * CLUSTER);
  const extension = Buffer.alloc(16);
  extension.writeUInt32BE(0xe2792aca, 0); // backing file format
  extension.writeUInt32BE(3, 4);
  extension.write('raw', 8);
  const nameAt = 104 + extension.length + 8;

  disk.write('QFI\xfb', 0, 'latin1');
  disk.writeUInt32BE(3, 4);
  disk.writeBigUInt64BE(BigInt(nameAt), 8);
  disk.writeUInt32BE(name.length, 16);
  disk.writeUInt32BE(16, 20); // cluster bits
  disk.writeBigUInt64BE(BigInt(size), 24);
  disk.writeUInt32BE(Math.ceil(size / L1_COVERS), 36);
  disk.writeBigUInt64BE(BigInt(3 * CLUSTER), 40);
  disk.writeBigUInt64BE(BigInt(CLUSTER), 48);
  disk.writeUInt32BE(1, 56);
  disk.writeUInt32BE(4, 96); // refcounts of 16 bits
  disk.writeUInt32BE(104, 100);
  extension.copy(disk, 104);
  name.copy(disk, nameAt);

  disk.writeBigUInt64BE(BigInt(2 * CLUSTER), CLUSTER);
  for (let cluster = 0; cluster < 4; cluster++) disk.writeUInt16BE(1, 2 * CLUSTER + cluster * 2);
  return disk;
}
