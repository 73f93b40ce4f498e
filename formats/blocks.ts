/** Blocks, and the pointers that lead to them, as file systems of UNIX's kin have them. */

/** The pointers of an inode that lead to contents themselves; three more lead through one, two and three indirect blocks. */
export const DIRECT = 12;

/** Blocks that lie one after the other. Positions are in the units of the file system: ext2's blocks, FFS's fragments. */
export type Run = readonly [first: number, blocks: number];

/** Gives out the blocks of a file system, in ascending order, so that an image is written from front to back. */
export interface Allocator {
  /** Bytes. */
  readonly blockSize: number;
  /** How many pointers an indirect block has room for. */
  readonly perBlock: number;
  /** Whether more was asked for than there is. */
  readonly isFull: boolean;
  /** The first block of what was taken last. */
  readonly first: number;
  /** Takes blocks for so many bytes of contents, as many as lie together, and gives how many; of FFS, the last may be a part of one. */
  take(bytes: number): number;
}

/** The pointers of contents that need more than an inode has. */
export interface Indirection {
  /** The blocks with pointers to blocks, each before those that it points to. */
  readonly blocks: readonly { readonly block: number; readonly pointers: readonly Run[] }[];
  /** What the inode itself points to: the first 12 blocks, then one through each kind of indirect block. */
  readonly pointers: readonly Run[];
}

/** Where the contents of inodes lie, in columns. */
export class BlockMaps {
  /** Of each inode, its first run; then one more. */
  readonly starts: Int32Array;
  /** Of each run, its first block and how many there are; those of an inode in the order of its contents. */
  runs: Int32Array;
  readonly #indirections = new Map<number, Indirection>();
  /** Of each inode, how many blocks it takes, those with pointers included. */
  readonly blocks: Int32Array;
  #inodes = 0;
  #held = 0;
  #length = 0;

  constructor(inodes: number) {
    this.starts = new Int32Array(inodes + 1);
    this.blocks = new Int32Array(inodes);
    // Most have one.
    this.runs = new Int32Array(2 * inodes);
  }

  /** Finds room for so many bytes of contents, those of the next inode. */
  add(size: number, allocator: Allocator): void {
    const { blockSize } = allocator;
    const blocks = Math.ceil(size / blockSize);
    this.blocks[this.#inodes] = blocks;
    if (blocks > DIRECT) {
      const indirection = this.#addThrough(blocks, allocator);
      this.#indirections.set(this.#inodes, indirection);
      this.blocks[this.#inodes]! += indirection.blocks.length;
    } else {
      for (let left = size; left > 0; ) {
        const count = allocator.take(left);
        this.#push(allocator.first, count);
        left -= count * blockSize;
      }
    }
    if (blocks > 0) this.#held++;
    this.#inodes++;
    this.starts[this.#inodes] = this.#length;
  }

  /** What leads to the contents of an inode that has more blocks than pointers. */
  indirectionOf(inode: number): Indirection | undefined {
    return this.blocks[inode]! > DIRECT ? this.#indirections.get(inode) : undefined;
  }

  /** How many inodes have blocks, how many runs there are, and how many blocks with pointers. */
  get counts(): { readonly held: number; readonly runs: number; readonly indirect: number } {
    let indirect = 0;
    for (const { blocks } of this.#indirections.values()) indirect += blocks.length;
    return { held: this.#held, runs: this.#length, indirect };
  }

  /** Writes what an inode points to; `step` is how many units a block has. */
  writePointers(inode: number, view: DataView, at: number, size: 4 | 8, step: number): void {
    const indirection = this.indirectionOf(inode);
    if (indirection !== undefined) {
      writePointers(view, at, indirection.pointers, size, step);
      return;
    }
    let next = at;
    for (let n = this.starts[inode]!; n < this.starts[inode + 1]!; n++) {
      next = writeRun(view, next, this.runs[2 * n]!, this.runs[2 * n + 1]!, size, step);
    }
  }

  /**
   * Finds room for contents of so many blocks, for which an inode has too few pointers. Blocks are asked for in the order
   * of the contents, one with pointers before all that it points to.
   */
  #addThrough(count: number, allocator: Allocator): Indirection {
    const { blockSize, perBlock } = allocator;
    // The last block is whole, whatever the file system (fs.h: blksize).
    let left = count;
    const take = (most: number): Run[] => {
      const runs: Run[] = [];
      for (let wanted = Math.min(most, left); wanted > 0; ) {
        const count = allocator.take(wanted * blockSize);
        runs.push([allocator.first, count]);
        this.#push(allocator.first, count);
        wanted -= count;
        left -= count;
      }
      return runs;
    };
    const blocks: { block: number; pointers: readonly Run[] }[] = [];
    const takeThrough = (depth: number): Run => {
      allocator.take(blockSize);
      const block = allocator.first;
      const at = blocks.push({ block, pointers: [] }) - 1;
      const pointers = depth === 1 ? take(perBlock) : [];
      while (depth > 1 && pointers.length < perBlock && left > 0) pointers.push(takeThrough(depth - 1));
      blocks[at]!.pointers = pointers;
      return [block, 1];
    };
    const pointers = take(DIRECT);
    for (let depth = 1; depth <= 3 && left > 0; depth++) pointers.push(takeThrough(depth));
    return { blocks, pointers };
  }

  #push(first: number, blocks: number): void {
    if (2 * this.#length === this.runs.length) {
      const longer = new Int32Array(2 * this.runs.length);
      longer.set(this.runs);
      this.runs = longer;
    }
    this.runs[2 * this.#length] = first;
    this.runs[2 * this.#length + 1] = blocks;
    this.#length++;
  }
}

/** Writes the addresses of blocks one after the other, and gives where they end; `step` is how many units a block has. */
export function writePointers(view: DataView, at: number, runs: readonly Run[], size: 4 | 8, step: number): number {
  let next = at;
  for (const [first, blocks] of runs) next = writeRun(view, next, first, blocks, size, step);
  return next;
}

function writeRun(view: DataView, at: number, first: number, blocks: number, size: 4 | 8, step: number): number {
  for (let n = 0; n < blocks; n++) view.setUint32(at + n * size, first + n * step, true);
  return at + blocks * size;
}

/** Sets bits of a map, from one up to another. */
export function setBits(map: Buffer, from: number, to: number): void {
  // Those before the first whole byte, whole bytes, those after the last.
  const first = Math.min(to, Math.ceil(from / 8) * 8);
  const last = Math.max(first, Math.floor(to / 8) * 8);
  setEach(map, from, first);
  if (first < last) map.fill(0xff, first / 8, last / 8);
  setEach(map, last, to);
}

function setEach(map: Buffer, from: number, to: number): void {
  for (let n = from; n < to; n++) map[n >> 3]! |= 1 << (n & 7);
}
