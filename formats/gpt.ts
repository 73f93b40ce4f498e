import { crc32 } from './crc32.ts';
import { SECTOR } from './sectors.ts';
import type { Extent } from './sink.ts';
import { guidBytes, uuidFrom } from './uuid.ts';
import type { BlockSource } from './volumeform.ts';

/** GUID partition tables, as the UEFI specification 2.10 has them in section 5. Sectors are 512 bytes. */

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

const SIGNATURE = 'EFI PART';

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
  const entry = Buffer.alloc(ENTRY_SIZE);
  guidBytes(PARTITION_TYPES[disk.type]).copy(entry, 0);
  guidBytes(uuidFrom(disk.seed, 'gpt partition')).copy(entry, 16);
  entry.writeBigUInt64LE(BigInt(PARTITION_START / SECTOR), 32);
  entry.writeBigUInt64LE(BigInt((PARTITION_START + partitionLength(disk.size)) / SECTOR - 1), 40);
  entry.write(disk.name.slice(0, NAME_LIMIT), 56, 'utf16le');
  const table = Buffer.alloc(TABLE_SECTORS * SECTOR);
  entry.copy(table);
  const { primary, backup } = bothTables(disk.size / SECTOR, table, guidBytes(uuidFrom(disk.seed, 'gpt disk')));
  return [primary, backup];
}

/** Everything in front of the first partition, the protective MBR included, and everything behind the last one. */
function bothTables(sectors: number, table: Buffer, guid: Buffer): { primary: Extent; backup: Extent } {
  const header = (own: number, other: number, tableAt: number) => {
    const bytes = Buffer.alloc(SECTOR);
    bytes.write(SIGNATURE, 0, 'latin1');
    bytes.writeUInt32LE(0x00010000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(other), 32);
    bytes.writeBigUInt64LE(BigInt(2 + TABLE_SECTORS), 40);
    bytes.writeBigUInt64LE(BigInt(sectors - TABLE_SECTORS - 2), 48);
    guid.copy(bytes, 56);
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

  const at = sectors - 1 - TABLE_SECTORS;
  return {
    primary: { position: 0, bytes: Buffer.concat([mbr, header(1, sectors - 1, 2), table]) },
    backup: { position: at * SECTOR, bytes: Buffer.concat([table, header(sectors - 1, 1, at)]) },
  };
}

/**
 * What to write, in this order, on a disk that was made longer, to `size` bytes, so that its GPT and the last partition
 * reach to its end; what was the backup table last becomes zeros. Nothing for a disk without a GPT. Undefined if its table
 * is not one of 128 entries behind its header, as every tool makes it, or has no partition.
 */
export function grownGpt(disk: BlockSource, size: number): Extent[] | undefined {
  if (disk.size < 3 * SECTOR) return [];
  const header = disk.read(SECTOR, SECTOR);
  if (header.toString('latin1', 0, 8) !== SIGNATURE) return [];
  const isUsual =
    header.readBigUInt64LE(72) === 2n && header.readUInt32LE(80) === ENTRIES && header.readUInt32LE(84) === ENTRY_SIZE;
  if (!isUsual) return undefined;
  const table = Buffer.from(disk.read(2 * SECTOR, TABLE_SECTORS * SECTOR));
  const last = entriesOf(table, ENTRY_SIZE).sort((a, b) => firstSector(b) - firstSector(a))[0];
  if (last === undefined) return undefined;
  const end = (PARTITION_START + partitionLength(size)) / SECTOR;
  last.writeBigUInt64LE(BigInt(end - 1), 40);
  const { primary, backup } = bothTables(size / SECTOR, table, header.subarray(56, 72));
  const old = disk.size - TRAILER;
  // Where the two backup tables overlap, the new one stays.
  const blank = Buffer.alloc(Math.max(0, Math.min(TRAILER, backup.position - old)));
  return [backup, primary, { position: old, bytes: blank }];
}

export interface Partition {
  /** Bytes, from the start of the disk. */
  readonly start: number;
  readonly size: number;
  readonly name: string | undefined;
}

/** The partitions of a disk, by its GPT or, if it has none, by its MBR; none if it has neither. */
export function readPartitions(disk: BlockSource): Partition[] {
  if (disk.size < 3 * SECTOR) return [];
  const [mbr, header] = [disk.read(0, SECTOR), disk.read(SECTOR, SECTOR)];
  if (header.toString('latin1', 0, 8) === SIGNATURE) {
    const at = Number(header.readBigUInt64LE(72)) * SECTOR;
    const [count, size] = [Math.min(header.readUInt32LE(80), ENTRIES), header.readUInt32LE(84)];
    if (size < ENTRY_SIZE || at + count * size > disk.size) return [];
    const table = disk.read(at, count * size);
    return entriesOf(table, size).map((entry) => {
      const [first, last] = [firstSector(entry), Number(entry.readBigUInt64LE(40))];
      const name = entry.toString('utf16le', 56, ENTRY_SIZE).replace(/\0.*$/s, '');
      return { start: first * SECTOR, size: (last + 1 - first) * SECTOR, name };
    });
  }
  if (mbr.readUInt16LE(510) !== 0xaa55) return [];
  return [446, 462, 478, 494]
    .filter((at) => mbr[at + 4] !== 0)
    .map((at) => ({
      start: mbr.readUInt32LE(at + 8) * SECTOR,
      size: mbr.readUInt32LE(at + 12) * SECTOR,
      name: undefined,
    }));
}

/** The entries of a table that are used. */
function entriesOf(table: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.floor(table.length / size) }, (_, n) =>
    table.subarray(n * size, (n + 1) * size),
  ).filter((entry) => entry.subarray(0, 16).some((byte) => byte !== 0));
}

function firstSector(entry: Buffer): number {
  return Number(entry.readBigUInt64LE(32));
}

/** What is wrong with the GPT of a disk: headers and tables that do not have their checksums, or do not agree. */
export function gptComplaints(disk: BlockSource): string[] {
  const last = disk.size / SECTOR - 1;
  const wrong: string[] = [];
  const tables: Buffer[] = [];
  for (const [name, own, other] of [
    ['primary', 1, last],
    ['backup', last, 1],
  ] as const) {
    const header = Buffer.from(disk.read(own * SECTOR, SECTOR));
    if (header.toString('latin1', 0, 8) !== SIGNATURE) {
      wrong.push(`there is no ${name} GPT`);
      continue;
    }
    const checksum = header.readUInt32LE(16);
    header.writeUInt32LE(0, 16);
    if (crc32(header.subarray(0, 92)) !== checksum) wrong.push(`the ${name} GPT has a wrong checksum`);
    if (header.readBigUInt64LE(24) !== BigInt(own) || header.readBigUInt64LE(32) !== BigInt(other)) {
      wrong.push(`the ${name} GPT belongs to a disk of another size`);
    }
    const at = Number(header.readBigUInt64LE(72)) * SECTOR;
    const length = header.readUInt32LE(80) * header.readUInt32LE(84);
    if (at + length > disk.size || length > disk.size) {
      wrong.push(`the table of the ${name} GPT lies beyond the disk`);
      continue;
    }
    const table = disk.read(at, length);
    if (crc32(table) !== header.readUInt32LE(88)) wrong.push(`the table of the ${name} GPT has a wrong checksum`);
    tables.push(table);
  }
  if (tables.length === 2 && !tables[0]!.equals(tables[1]!)) wrong.push('the two tables of the GPT differ');
  return wrong;
}
