import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { writeAllSync } from './files.ts';
import { ImageFile } from './imagefile.ts';

/** What is looked at for zeros, at whole multiples of it: the clusters of most file systems of hosts, and more. */
const HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE);

/**
 * A file that has holes wherever nothing, or nothing but zeros, is written. Writes are synchronous: they go to memory, in a
 * fraction of the time that a promise for each would take.
 */
export class SparseFile implements Disposable {
  readonly #handle: number;

  /** Makes a new file of `size` bytes, or one in the place of another. */
  constructor(file: string, size: number, { replace = false } = {}) {
    this.#handle = openSync(file, replace ? 'w' : 'wx');
    ftruncateSync(this.#handle, size);
  }

  /** Sets the size, where that is known only at the end. */
  truncate(size: number): void {
    ftruncateSync(this.#handle, size);
  }

  write(position: number, bytes: Uint8Array): void {
    let from = 0;
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + HOLE - ((position + at) % HOLE));
      if (ZEROS.compare(bytes, at, end, 0, end - at) === 0) {
        writeAllSync(this.#handle, position + from, bytes.subarray(from, at));
        from = end;
      }
      at = end;
    }
    writeAllSync(this.#handle, position + from, bytes.subarray(from));
  }

  [Symbol.dispose](): void {
    closeSync(this.#handle);
  }
}

const PIECE = 1024 * 1024;

/** A copy of a file, with holes where there are nothing but zeros. */
export async function copySparse(from: string, to: string): Promise<void> {
  using source = new ImageFile(from);
  using target = new SparseFile(to, source.size, { replace: true });
  for (let at = 0; at < source.size; at += PIECE) {
    target.write(at, source.read(at, Math.min(PIECE, source.size - at)));
    await setImmediate();
  }
}
