import type { Entry } from '../model/artifact.ts';
import { type BlockForm, directoryBytes, type Inode } from './inodes.ts';
import type { BlockSink } from './sink.ts';

/** The contents of files in the order in which they are asked for, in pieces that together are the file. */
export type Contents = (entries: readonly Entry[]) => AsyncGenerator<{ entry: Entry; piece: Buffer }>;

/**
 * Writes what inodes point to, in their order, which is that of positions too: what lies side by side is written in one go.
 */
export async function writeContents(
  inodes: readonly Inode[],
  form: BlockForm,
  contents: Contents,
  sink: BlockSink,
): Promise<void> {
  const zeros = Buffer.alloc(form.unit);
  const files = new Map<Entry, number>();
  for (const [n, { entry, data }] of inodes.entries()) {
    if (entry.type === 'file' && data.length > 0) files.set(entry, n);
  }
  let next = 0;
  const writeOthersBefore = async (end: number) => {
    for (; next < end; next++) {
      const inode = inodes[next]!;
      const bytes = ownBytes(inode, form);
      if (bytes !== undefined) await new InodeWriter(inode, form, sink, zeros).append(bytes);
    }
  };
  let writer: InodeWriter | undefined;
  for await (const { entry, piece } of contents([...files.keys()])) {
    const n = files.get(entry)!;
    if (next <= n) {
      await writeOthersBefore(n);
      writer = new InodeWriter(inodes[n]!, form, sink, zeros);
      next = n + 1;
    }
    await writer!.append(piece);
  }
  await writeOthersBefore(inodes.length);
}

/** What an inode points to, if that is in the tree itself: a directory, a long symbolic link. */
function ownBytes(inode: Inode, { directories }: BlockForm): Buffer | undefined {
  const { entry, data } = inode;
  if (entry.type === 'directory') return directoryBytes(inode, directories);
  return entry.type === 'symlink' && data.length > 0 ? Buffer.from(entry.target) : undefined;
}

/**
 * Writes the contents of one inode from front to back, with the indirect blocks that lie between. It waits only for what
 * must be waited for: there are tens of thousands of files, and an `await` costs as much as copying a small one.
 */
class InodeWriter {
  readonly #inode: Inode;
  readonly #form: BlockForm;
  readonly #sink: BlockSink;
  readonly #zeros: Buffer;
  #done = 0;
  #indirect = 0;

  /** `zeros` are at least as many as a unit has bytes. */
  constructor(inode: Inode, form: BlockForm, sink: BlockSink, zeros: Buffer) {
    this.#inode = inode;
    this.#form = form;
    this.#sink = sink;
    this.#zeros = zeros;
  }

  async append(bytes: Buffer): Promise<void> {
    const { data, indirect, size } = this.#inode;
    const { blockSize, unit } = this.#form;
    const step = blockSize / unit;
    for (let at = 0; at < bytes.length; ) {
      const index = Math.floor(this.#done / blockSize);
      const within = this.#done % blockSize;
      let run = 1;
      while (data[index + run] === data[index]! + run * step && run * blockSize - within < bytes.length - at) run++;
      const length = Math.min(bytes.length - at, run * blockSize - within);
      if (indirect[this.#indirect] !== undefined) await this.#writeIndirectBefore(data[index]!);
      const isAll = at === 0 && length === bytes.length;
      const written = this.#sink.write(data[index]! * unit + within, isAll ? bytes : bytes.subarray(at, at + length));
      if (written !== undefined) await written;
      at += length;
      this.#done += length;
    }
    const padded = this.#done === size ? this.#pad() : undefined;
    if (padded !== undefined) await padded;
  }

  async #writeIndirectBefore(block: number): Promise<void> {
    for (let next = this.#inode.indirect[this.#indirect]; next !== undefined && next.block < block; ) {
      await this.#sink.write(next.block * this.#form.unit, this.#bytesOf(next.pointers));
      next = this.#inode.indirect[++this.#indirect];
    }
  }

  #bytesOf(pointers: Uint32Array): Buffer {
    const { pointerSize } = this.#form;
    const bytes = Buffer.alloc(pointers.length * pointerSize);
    pointers.forEach((pointer, n) => {
      bytes.writeUInt32LE(pointer, n * pointerSize);
    });
    return bytes;
  }

  /** Zeros to the end of the last unit, so that the next file's write follows this one without a gap. */
  #pad(): Promise<void> | undefined {
    const { blockSize, unit } = this.#form;
    const within = this.#done % unit;
    if (within === 0) return undefined;
    const end = this.#inode.data.at(-1)! * unit + (this.#done % blockSize);
    return this.#sink.write(end, this.#zeros.subarray(0, unit - within));
  }
}
