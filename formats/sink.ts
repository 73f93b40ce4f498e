/** Where an image goes. Positions and lengths are in bytes; what is never written reads as zeros. */
export interface BlockSink {
  write(position: number, bytes: Uint8Array): Promise<void>;
}

/** A sink that shifts everything by a number of bytes: a partition of a disk. */
export function shifted(sink: BlockSink, by: number): BlockSink {
  return { write: (position, bytes) => sink.write(position + by, bytes) };
}

/** A sink that joins writes that follow each other into large ones. `flush` must be called at the end. */
export class CoalescingSink implements BlockSink {
  readonly #sink: BlockSink;
  readonly #buffer: Buffer;
  #start = 0;
  #length = 0;

  constructor(sink: BlockSink, size = 4 * 1024 * 1024) {
    this.#sink = sink;
    this.#buffer = Buffer.allocUnsafe(size);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    const follows = position === this.#start + this.#length;
    if (!follows || this.#length + bytes.length > this.#buffer.length) await this.flush();
    if (bytes.length > this.#buffer.length) return this.#sink.write(position, bytes);
    if (this.#length === 0) this.#start = position;
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async flush(): Promise<void> {
    if (this.#length > 0) await this.#sink.write(this.#start, this.#buffer.subarray(0, this.#length));
    this.#start += this.#length;
    this.#length = 0;
  }
}
