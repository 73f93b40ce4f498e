import { type FileHandle, open } from 'node:fs/promises';
import type { BlockSink } from '../formats/sink.ts';
import { writeAll } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';

/** What is looked at for zeros, at whole multiples of it: the clusters of most file systems of hosts, and more. */
const HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE);

/** A new file that has holes wherever nothing, or nothing but zeros, is written. */
export class SparseFile implements BlockSink, AsyncDisposable {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + HOLE - ((position + at) % HOLE));
      if (ZEROS.compare(bytes, at, end, 0, end - at) === 0) {
        await writeAll(this.#handle, position + from, bytes.subarray(from, at));
        from = end;
      }
      at = end;
    }
    await writeAll(this.#handle, position + from, bytes.subarray(from));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** A copy of a file, with holes where there are nothing but zeros. */
export async function copySparse(from: string, to: string): Promise<void> {
  using source = new ImageFile(from);
  await using target = new SparseFile(await open(to, 'w'));
  await target.truncate(source.size);
  for (let at = 0; at < source.size; at += PIECE) {
    await target.write(at, source.read(at, Math.min(PIECE, source.size - at)));
  }
}

const PIECE = 1024 * 1024;
