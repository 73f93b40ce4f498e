import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { asProblem } from './files.ts';

/** A file of the host that is read at any place. Positions and lengths are in bytes; throws beyond its end. */
export class ImageFile implements Disposable {
  readonly size: number;
  readonly #handle: number;

  /** Throws `no-access`. */
  constructor(file: string) {
    try {
      this.#handle = openSync(file, 'r');
    } catch (error) {
      throw asProblem(error, file);
    }
    this.size = fstatSync(this.#handle).size;
  }

  read(position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const read = readSync(this.#handle, bytes, done, length - done, position + done);
      if (read === 0) throw new RangeError(`there is no byte ${position + done}`);
      done += read;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#handle);
  }
}
