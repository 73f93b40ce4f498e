import { crc32 } from 'node:zlib';
import type { Extent } from './sink.ts';
import { guidBytes, uuidFrom } from './uuid.ts';

/** GUID partition tables, as the UEFI specification 2.10 has them in section 5. Sectors are 512 bytes. */

const SECTOR = 512;
const ENTRIES = 128;
const ENTRY_SIZE = 128;
const TABLE_SECTORS = (ENTRIES * ENTRY_SIZE) / SECTOR;

/** Partitions begin and end at whole MiB, where every tool puts them; on the tiniest disks they end at a multiple of 64 KiB. */
const ALIGNMENT = 1024 * 1024;
const TINY_ALIGNMENT = 64 * 1024;
const TINY = 4 * ALIGNMENT;
export const PARTITION_START = ALIGNMENT;
/** What the backup table takes at the end: 33 sectors. */
const TRAILER = 33 * SECTOR;

export const NAME_LIMIT = 36;

const PARTITION_TYPES = {
  ext2: '0fc63daf-8483-4772-8e79-3d69d8477de4',
  ffs: '49f48d5a-b10e-11dc-b99b-0019d1879648',
} as const;

/** The length in bytes of the one partition of a disk of `size` bytes; not positive if the disk is too small for any. */
export function partitionLength(size: number): number {
  const alignment = size < TINY ? TINY_ALIGNMENT : ALIGNMENT;
  return Math.floor((size - TRAILER) / alignment) * alignment - PARTITION_START;
}

/** The tables of a disk of `size` bytes, a multiple of 512, with one partition. All GUIDs come from `seed`. */
export function gptTables(disk: {
  size: number;
  name: string;
  type: keyof typeof PARTITION_TYPES;
  seed: string;
}): Extent[] {
  const sectors = disk.size / SECTOR;
  const entry = Buffer.alloc(ENTRY_SIZE);
  guidBytes(PARTITION_TYPES[disk.type]).copy(entry, 0);
  guidBytes(uuidFrom(disk.seed, 'gpt partition')).copy(entry, 16);
  entry.writeBigUInt64LE(BigInt(PARTITION_START / SECTOR), 32);
  entry.writeBigUInt64LE(BigInt((PARTITION_START + partitionLength(disk.size)) / SECTOR - 1), 40);
  entry.write(disk.name.slice(0, NAME_LIMIT), 56, 'utf16le');
  const table = Buffer.alloc(TABLE_SECTORS * SECTOR);
  entry.copy(table);

  const header = (own: number, other: number, tableAt: number) => {
    const bytes = Buffer.alloc(SECTOR);
    bytes.write('EFI PART', 0, 'latin1');
    bytes.writeUInt32LE(0x00010000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(other), 32);
    bytes.writeBigUInt64LE(BigInt(2 + TABLE_SECTORS), 40);
    bytes.writeBigUInt64LE(BigInt(sectors - TABLE_SECTORS - 2), 48);
    guidBytes(uuidFrom(disk.seed, 'gpt disk')).copy(bytes, 56);
    bytes.writeBigUInt64LE(BigInt(tableAt), 72);
    bytes.writeUInt32LE(ENTRIES, 80);
    bytes.writeUInt32LE(ENTRY_SIZE, 84);
    bytes.writeUInt32LE(crc32(table), 88);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16);
    return bytes;
  };

  // The protective MBR: one partition of type 0xEE over the whole disk, or as much of it as 32 bits can say.
  const mbr = Buffer.alloc(SECTOR);
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  mbr.writeUInt32LE(1, 454);
  mbr.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 458);
  mbr.writeUInt16LE(0xaa55, 510);

  const backup = sectors - 1 - TABLE_SECTORS;
  return [
    { position: 0, bytes: Buffer.concat([mbr, header(1, sectors - 1, 2), table]) },
    { position: backup * SECTOR, bytes: Buffer.concat([table, header(sectors - 1, 1, backup)]) },
  ];
}
