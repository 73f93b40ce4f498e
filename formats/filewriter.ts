import type { Entry } from '../model/artifact.ts';
import { type BlockForm, directoryBytes, type Inode } from './inodes.ts';
import type { BlockSink } from './sink.ts';

/** The contents of files in the order in which they are asked for, in pieces that together are the file. */
export type Contents = (entries: readonly Entry[]) => AsyncGenerator<{ entry: Entry; piece: Buffer }>;

/** Writes what inodes point to: first all directories, then long symbolic links, then files, each at ascending positions. */
export async function writeContents(
  inodes: readonly Inode[],
  form: BlockForm,
  contents: Contents,
  sink: BlockSink,
): Promise<void> {
  for (const inode of inodes) {
    if (inode.entry.type !== 'directory') continue;
    await new InodeWriter(inode, form, sink).append(directoryBytes(inode, form.directories));
  }
  const files = new Map<Entry, InodeWriter>();
  for (const inode of inodes.filter(({ data }) => data.length > 0)) {
    const writer = new InodeWriter(inode, form, sink);
    if (inode.entry.type === 'symlink') await writer.append(Buffer.from(inode.entry.target));
    if (inode.entry.type === 'file') files.set(inode.entry, writer);
  }
  for await (const { entry, piece } of contents([...files.keys()])) await files.get(entry)!.append(piece);
}

/** Writes the contents of one inode from front to back, with the indirect blocks that lie between. */
class InodeWriter {
  readonly #inode: Inode;
  readonly #form: BlockForm;
  readonly #sink: BlockSink;
  #done = 0;
  #indirect = 0;

  constructor(inode: Inode, form: BlockForm, sink: BlockSink) {
    this.#inode = inode;
    this.#form = form;
    this.#sink = sink;
  }

  async append(bytes: Buffer): Promise<void> {
    const { data, size } = this.#inode;
    const { blockSize, unit } = this.#form;
    const step = blockSize / unit;
    for (let at = 0; at < bytes.length; ) {
      const index = Math.floor(this.#done / blockSize);
      const within = this.#done % blockSize;
      let run = 1;
      while (data[index + run] === data[index]! + run * step && run * blockSize - within < bytes.length - at) run++;
      const length = Math.min(bytes.length - at, run * blockSize - within);
      await this.#writeIndirectBefore(data[index]!);
      await this.#sink.write(data[index]! * unit + within, bytes.subarray(at, at + length));
      at += length;
      this.#done += length;
    }
    if (this.#done === size) await this.#pad();
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
  async #pad(): Promise<void> {
    const { blockSize, unit } = this.#form;
    const within = this.#done % unit;
    if (within === 0) return;
    const end = this.#inode.data.at(-1)! * unit + (this.#done % blockSize);
    await this.#sink.write(end, Buffer.alloc(unit - within));
  }
}
