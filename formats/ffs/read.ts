import { deviceOf, TYPE_BITS } from '../inodes.ts';
import { type BlockSource, BrokenVolume, type DiskInode, type VolumeForm } from '../volumeform.ts';
import { MAGIC, SUPERBLOCK_SIZE, type Version } from './geometry.ts';

/** FFS, versions 1 and 2, in little-endian: NetBSD's sys/ufs/ffs/fs.h and sys/ufs/ufs/dinode.h. */

/** Where a superblock may lie (fs.h: SBLOCKSEARCH). */
const PLACES = [65536, 8192, 262144] as const;
const VERSIONS: readonly Version[] = [1, 2];

/** The FFS in a volume; undefined if there is none. Throws `BrokenVolume`. */
export function openFfs(source: BlockSource): VolumeForm | undefined {
  for (const at of PLACES) {
    if (source.size < at + SUPERBLOCK_SIZE) continue;
    const sb = source.read(at, SUPERBLOCK_SIZE);
    if (VERSIONS.some((version) => sb.readInt32BE(1372) === MAGIC[version])) {
      throw new BrokenVolume('its FFS is of a big-endian machine');
    }
    const version = VERSIONS.find((each) => sb.readInt32LE(1372) === MAGIC[each]);
    // A superblock elsewhere than it says of itself is a spare one. Version 1 did not always say it.
    const isItself = sb.readBigInt64LE(1000) === BigInt(at) || (version === 1 && at === 8192);
    if (version !== undefined && isItself) return formOf(source, sb, version);
  }
  return undefined;
}

function formOf(source: BlockSource, sb: Buffer, version: Version): VolumeForm {
  const int = (at: number) => sb.readInt32LE(at);
  const long = (at: number) => Number(sb.readBigInt64LE(at));
  const [groups, blockSize, fragmentSize] = [int(44), int(48), int(52)];
  const [inodeTable, inodesPerGroup, perGroup, longestTarget] = [int(16), int(184), int(188), int(1320)];
  const inodeSize = version === 1 ? 128 : 256;
  const isPower = (n: number) => n > 0 && (n & (n - 1)) === 0;
  if (!isPower(blockSize) || !isPower(fragmentSize) || blockSize > 65536 || fragmentSize > blockSize || perGroup <= 0) {
    throw new BrokenVolume('the superblock of its FFS makes no sense');
  }
  // Version 1 counts its fragments in another field, where it was made by an old newfs(8).
  const units = version === 1 ? int(36) : long(1080);
  const [freeBlocks, freeFragments] = version === 1 ? [int(196), int(204)] : [long(1016), long(1032)];
  return {
    name: `FFSv${version}`,
    blockSize,
    unit: fragmentSize,
    pointerSize: version === 1 ? 4 : 8,
    chunk: 512,
    units,
    free: freeBlocks * blockSize + freeFragments * fragmentSize,
    nameLength: (directory, at) => directory[at + 7]!,
    inode(number) {
      if (number < 2 || number >= groups * inodesPerGroup) {
        throw new BrokenVolume(`a directory names inode ${number}, which there is not`);
      }
      const group = Math.floor(number / inodesPerGroup);
      const at = (group * perGroup + inodeTable) * fragmentSize + (number % inodesPerGroup) * inodeSize;
      const bytes = source.read(at, inodeSize);
      const inode = version === 1 ? inode1(bytes, number) : inode2(bytes, number);
      const isFast = (inode.mode & 0o170000) === TYPE_BITS.symlink && inode.size < longestTarget;
      const start = version === 1 ? 40 : 112;
      return isFast ? { ...inode, target: bytes.toString('utf8', start, start + inode.size) } : inode;
    },
  };
}

function inode1(bytes: Buffer, number: number): DiskInode {
  return {
    number,
    mode: bytes.readUInt16LE(0),
    links: bytes.readUInt16LE(2),
    uid: bytes.readUInt32LE(112),
    gid: bytes.readUInt32LE(116),
    size: Number(bytes.readBigUInt64LE(8)),
    mtime: bytes.readInt32LE(24),
    pointers: Array.from({ length: 15 }, (_, n) => bytes.readUInt32LE(40 + n * 4)),
    device: deviceOf(bytes.readUInt32LE(40)),
    target: undefined,
  };
}

function inode2(bytes: Buffer, number: number): DiskInode {
  return {
    number,
    mode: bytes.readUInt16LE(0),
    links: bytes.readUInt16LE(2),
    uid: bytes.readUInt32LE(4),
    gid: bytes.readUInt32LE(8),
    size: Number(bytes.readBigUInt64LE(16)),
    mtime: Number(bytes.readBigInt64LE(40)),
    pointers: Array.from({ length: 15 }, (_, n) => Number(bytes.readBigInt64LE(112 + n * 8))),
    device: deviceOf(bytes.readUInt32LE(112)),
    target: undefined,
  };
}
