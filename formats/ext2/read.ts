import { deviceOf, TYPE_BITS } from '../inodes.ts';
import { type BlockSource, BrokenVolume, type DiskInode, type VolumeForm } from '../volumeform.ts';
import { FAST_SYMLINK } from './layout.ts';

/** ext2 and ext3 as Linux's Documentation/filesystems/ext4 describes them; ext4 as far as it is no more than that. */

const SUPERBLOCK = 1024;
const MAGIC = 0xef53;
/** Features that change where things are: only those with which all is where ext2 has it. */
const UNDERSTOOD = 0x0002 | 0x0004;
const NAMES: readonly (readonly [number, string])[] = [
  [0x0040, 'extents, as ext4 has'],
  [0x0080, 'numbers of 64 bits, as ext4 has'],
  [0x0010, 'a layout of its groups that smol does not know'],
];

/** The ext2 in a volume; undefined if there is none. Throws `BrokenVolume` if it has features that cannot be read. */
export function openExt2(source: BlockSource): VolumeForm | undefined {
  if (source.size < 2 * SUPERBLOCK) return undefined;
  const sb = source.read(SUPERBLOCK, SUPERBLOCK);
  if (sb.readUInt16LE(56) !== MAGIC) return undefined;
  const blockSize = 1024 << sb.readUInt32LE(24);
  const inodesPerGroup = sb.readUInt32LE(40);
  const inodes = sb.readUInt32LE(0);
  const units = sb.readUInt32LE(4);
  const isRevised = sb.readUInt32LE(76) > 0;
  const inodeSize = isRevised ? sb.readUInt16LE(88) : 128;
  const unknown = isRevised ? sb.readUInt32LE(96) & ~UNDERSTOOD : 0;
  if (unknown !== 0) {
    const name = NAMES.find(([bit]) => unknown & bit)?.[1] ?? `the feature 0x${unknown.toString(16)}`;
    throw new BrokenVolume(`its ext file system has ${name}`);
  }
  if (blockSize < 1024 || blockSize > 65536 || inodesPerGroup === 0 || inodeSize < 128 || inodeSize > blockSize) {
    throw new BrokenVolume('the superblock of its ext2 makes no sense');
  }
  const hasTypes = isRevised && (sb.readUInt32LE(96) & 0x0002) !== 0;
  const descriptors = (sb.readUInt32LE(20) + 1) * blockSize;
  return {
    name: 'ext2',
    blockSize,
    unit: blockSize,
    pointerSize: 4,
    chunk: blockSize,
    units,
    free: sb.readUInt32LE(12) * blockSize,
    nameLength: (directory, at) => (hasTypes ? directory[at + 6]! : directory.readUInt16LE(at + 6)),
    inode(number) {
      if (number < 1 || number > inodes)
        throw new BrokenVolume(`a directory names inode ${number}, which there is not`);
      const group = Math.floor((number - 1) / inodesPerGroup);
      const table = source.read(descriptors + group * 32 + 8, 4).readUInt32LE(0);
      const at = table * blockSize + ((number - 1) % inodesPerGroup) * inodeSize;
      return inodeOf(source.read(at, 128), number, blockSize);
    },
  };
}

function inodeOf(bytes: Buffer, number: number, blockSize: number): DiskInode {
  const mode = bytes.readUInt16LE(0);
  const type = mode & 0o170000;
  const isFile = type === TYPE_BITS.file;
  const size = bytes.readUInt32LE(4) + (isFile ? bytes.readUInt32LE(108) * 2 ** 32 : 0);
  const blocks = bytes.readUInt32LE(28);
  const attributes = bytes.readUInt32LE(104) === 0 ? 0 : blockSize / 512;
  const isFast = type === TYPE_BITS.symlink && size < FAST_SYMLINK && blocks === attributes;
  return {
    number,
    mode,
    links: bytes.readUInt16LE(26),
    uid: bytes.readUInt16LE(2) + bytes.readUInt16LE(120) * 65536,
    gid: bytes.readUInt16LE(24) + bytes.readUInt16LE(122) * 65536,
    size,
    mtime: bytes.readInt32LE(16),
    pointers: Array.from({ length: 15 }, (_, n) => bytes.readUInt32LE(40 + n * 4)),
    device: deviceOf(bytes.readUInt32LE(40) || bytes.readUInt32LE(44)),
    target: isFast ? bytes.toString('utf8', 40, 40 + size) : undefined,
  };
}
