import { setBits } from '../blocks.ts';
import { type FileSystem, type Identity, type Layout, type Table, tableOf } from '../filesystem.ts';
import { MODES, placeWriter, wordsOf } from '../inodes.ts';
import { GID, isFileType, MODE, MTIME, NO_TIME, NUMBERS, TYPE, UID } from '../treeindex.ts';
import { dataBlocks, FIRST_INODE, type Geometry, INODE_SIZE } from './geometry.ts';
import { type Ext2Layout, layOut } from './layout.ts';

/** ext2 (revision 1), as Linux, NetBSD and GRUB read it. */
export const ext2: FileSystem = (tree, size) => {
  const layout = layOut(tree, size);
  return layout && laidOut(layout);
};

function laidOut(layout: Ext2Layout): Layout {
  const { inodes, maps } = layout;
  const { blockSize } = layout.geometry;
  return {
    form: { blockSize, unit: blockSize, pointerSize: 4 },
    inodes,
    maps,
    free: freeBlocks(layout) * blockSize,
    tables: (identity) => tables(layout, identity),
  };
}

function freeBlocks({ geometry: geo, used }: Ext2Layout): number {
  return used.reduce((free, blocks) => free - blocks, dataBlocks(geo));
}

function* tables(layout: Ext2Layout, identity: Identity): Generator<Table> {
  const { geometry: geo, inodes, used } = layout;
  const inodesUsed = FIRST_INODE - 1 + inodes.count - 1;
  const directories = inodes.directoriesIn(geo.groups.length, (number) => groupOf(geo, number));
  const usedInodes = (n: number) => Math.max(0, Math.min(geo.inodesPerGroup, inodesUsed - n * geo.inodesPerGroup));
  const free = freeBlocks(layout);
  const freeInodes = geo.groups.length * geo.inodesPerGroup - inodesUsed;

  const descriptors = Buffer.alloc(geo.descriptorBlocks * geo.blockSize);
  geo.groups.forEach((group, n) => {
    const at = n * 32;
    descriptors.writeUInt32LE(group.blockBitmap, at);
    descriptors.writeUInt32LE(group.inodeBitmap, at + 4);
    descriptors.writeUInt32LE(group.inodeTable, at + 8);
    descriptors.writeUInt16LE(group.start + group.blocks - group.data - used[n]!, at + 12);
    descriptors.writeUInt16LE(geo.inodesPerGroup - usedInodes(n), at + 14);
    descriptors.writeUInt16LE(directories[n]!, at + 16);
  });

  for (const [n, group] of geo.groups.entries()) {
    if (group.hasSuperblock) {
      const superblock = superblockOf(geo, identity, free, freeInodes, n);
      // With 4 KiB blocks the superblock lies 1 KiB into the first block; its copies begin their blocks.
      const inBlock = n === 0 && geo.blockSize > 1024 ? 1024 : 0;
      yield tableOf(group.start * geo.blockSize + inBlock, superblock);
      yield tableOf((group.start + 1) * geo.blockSize, descriptors);
    }
    const blockBitmap = bitmap(geo.blockSize, group.data - group.start + used[n]!, group.blocks);
    const inodeBitmap = bitmap(geo.blockSize, usedInodes(n), geo.inodesPerGroup);
    yield tableOf(group.blockBitmap * geo.blockSize, Buffer.concat([blockBitmap, inodeBitmap]));
    const count = usedInodes(n);
    if (count === 0) continue;
    const write = (bytes: Buffer) => writeInodes(layout, identity, bytes, n * geo.inodesPerGroup + 1, count);
    yield { position: group.inodeTable * geo.blockSize, size: count * INODE_SIZE, write };
  }
}

/** Bits for so many things in use, and for those after the last that there is. */
function bitmap(blockSize: number, used: number, total: number): Buffer {
  const bytes = Buffer.alloc(blockSize);
  setBits(bytes, 0, used);
  setBits(bytes, total, blockSize * 8);
  return bytes;
}

function groupOf(geo: Geometry, inode: number): number {
  return Math.floor((inode - 1) / geo.inodesPerGroup);
}

function superblockOf(geo: Geometry, identity: Identity, free: number, freeInodes: number, group: number): Buffer {
  const sb = Buffer.alloc(1024);
  sb.writeUInt32LE(geo.groups.length * geo.inodesPerGroup, 0);
  sb.writeUInt32LE(geo.blocks, 4);
  sb.writeUInt32LE(0, 8); // none reserved for root: images are small, and every guest is root
  sb.writeUInt32LE(free, 12);
  sb.writeUInt32LE(freeInodes, 16);
  sb.writeUInt32LE(geo.firstBlock, 20);
  sb.writeUInt32LE(Math.log2(geo.blockSize / 1024), 24);
  sb.writeUInt32LE(Math.log2(geo.blockSize / 1024), 28);
  sb.writeUInt32LE(geo.blocksPerGroup, 32);
  sb.writeUInt32LE(geo.blocksPerGroup, 36);
  sb.writeUInt32LE(geo.inodesPerGroup, 40);
  sb.writeUInt32LE(0, 44); // never mounted
  sb.writeUInt32LE(identity.time, 48);
  sb.writeInt16LE(-1, 54); // no check after so many mounts
  sb.writeUInt16LE(0xef53, 56);
  sb.writeUInt16LE(1, 58); // clean
  sb.writeUInt16LE(1, 60); // on errors: continue
  sb.writeUInt32LE(identity.time, 64);
  sb.writeUInt32LE(0, 68); // no check after so much time
  sb.writeUInt32LE(1, 76);
  sb.writeUInt32LE(FIRST_INODE, 84);
  sb.writeUInt16LE(INODE_SIZE, 88);
  sb.writeUInt16LE(group, 90);
  sb.writeUInt32LE(0x0002, 96); // incompatible: filetype
  sb.writeUInt32LE(0x0003, 100); // read-only compatible: sparse_super, large_file
  identity.uuid.copy(sb, 104);
  sb.write(identity.label, 120, 16, 'utf8');
  return sb;
}

/** Writes so many inodes of a table, from that number on. */
function writeInodes(layout: Ext2Layout, identity: Identity, table: Buffer, first: number, count: number): void {
  const { geometry: geo, inodes, maps } = layout;
  const { numbers } = inodes.tree;
  const words = wordsOf(table);
  const writePlace = placeWriter(inodes, maps, table, 40, 4, 1);
  const end = inodes.from(first + count);
  for (let n = inodes.from(first); n < end; n++) {
    const from = inodes.entries[n]! * NUMBERS;
    const type = numbers[from + TYPE]!;
    const uid = numbers[from + UID]!;
    const gid = numbers[from + GID]!;
    const mtime = numbers[from + MTIME]!;
    const time = mtime === NO_TIME ? identity.time : mtime;
    const size = inodes.sizes[n]!;
    const at = (inodes.numberOf(n) - first) * INODE_SIZE;
    const word = at / 4;
    words[word] = MODES[type]! | numbers[from + MODE]! | (uid << 16);
    words[word + 1] = size;
    words[word + 2] = time;
    words[word + 3] = time;
    words[word + 4] = time;
    words[word + 6] = (gid & 0xffff) | (inodes.links[n]! << 16);
    words[word + 7] = (maps.blocks[n]! * geo.blockSize) / 512;
    writePlace(n, at);
    if (isFileType(type)) words[word + 27] = Math.floor(size / 2 ** 32);
    words[word + 30] = (uid >>> 16) | (gid & 0xffff0000);
  }
}
