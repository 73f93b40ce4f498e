import type { BlockSink } from '../model/extents.ts';

/** Bytes, and where they go. */
export interface Extent {
  readonly position: number;
  readonly bytes: Buffer;
}

/**
 * Joins what is written to a sink that reads as zeros, most of it from front to back: what lies near to each other is written
 * at once, with what lies between. `flush` must be called at the end.
 */
export class CoalescingSink implements BlockSink {
  readonly #sink: BlockSink;
  readonly #buffer: Uint8Array;
  #start = 0;
  #length = 0;

  constructor(sink: BlockSink, size = 512 * 1024) {
    this.#sink = sink;
    this.#buffer = new Uint8Array(size);
  }

  write(position: number, bytes: Uint8Array, length = bytes.length): void {
    // What lies before all that is gathered is not gathered: between the two there may be what was written.
    if (position < this.#start) {
      this.#sink.write(position, bytes, length);
      return;
    }
    // What is large is not copied once more.
    if (length > this.#buffer.length / 2) {
      this.flush();
      this.#sink.write(position, bytes, length);
      this.#start = position + length;
      return;
    }
    if (position + length > this.#start + this.#buffer.length) {
      this.flush();
      this.#start = position;
    }
    const at = position - this.#start;
    if (at > this.#length) this.#buffer.fill(0, this.#length, at);
    this.#buffer.set(bytes, at);
    if (length > bytes.length) this.#buffer.fill(0, at + bytes.length, at + length);
    this.#length = Math.max(this.#length, at + length);
  }

  /** Writes what is gathered. */
  flush(): void {
    if (this.#length > 0) this.#sink.write(this.#start, this.#buffer.subarray(0, this.#length));
    this.#length = 0;
  }
}
