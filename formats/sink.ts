/** Where an image goes. Positions and lengths are in bytes; what is never written reads as zeros. */
export interface BlockSink {
  /** What it gives must be waited for before the bytes change; nothing if it has taken a copy, as for most small files. */
  write(position: number, bytes: Uint8Array): Promise<void> | undefined;
}

/** Bytes, and where they go. */
export interface Extent {
  readonly position: number;
  readonly bytes: Buffer;
}

/** A sink that shifts everything by a number of bytes: a partition of a disk. */
export function shifted(sink: BlockSink, by: number): BlockSink {
  return { write: (position, bytes) => sink.write(position + by, bytes) };
}

/**
 * A sink that joins writes that follow each other into large ones, and goes on while the last large one is under way.
 * `flush` must be called at the end.
 */
export class CoalescingSink implements BlockSink {
  readonly #sink: BlockSink;
  #buffer: Buffer;
  #spare: Buffer;
  #start = 0;
  #length = 0;
  #writing: Promise<void> | undefined;

  constructor(sink: BlockSink, size = 4 * 1024 * 1024) {
    this.#sink = sink;
    this.#buffer = Buffer.allocUnsafeSlow(size);
    this.#spare = Buffer.allocUnsafeSlow(size);
  }

  write(position: number, bytes: Uint8Array): Promise<void> | undefined {
    const isNext = position === this.#start + this.#length && bytes.length <= this.#buffer.length - this.#length;
    if (!isNext) return this.#writeOver(position, bytes);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return undefined;
  }

  async #writeOver(position: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const follows = position + done === this.#start + this.#length;
      if (!follows || this.#length === this.#buffer.length) await this.#turn(position + done);
      const part = bytes.subarray(done, done + this.#buffer.length - this.#length);
      this.#buffer.set(part, this.#length);
      this.#length += part.length;
      done += part.length;
    }
  }

  async flush(): Promise<void> {
    await this.#turn(0);
    await this.#writing;
  }

  /** Starts to write what is gathered, once the write before is over, and gathers anew from `position` on. */
  async #turn(position: number): Promise<void> {
    await this.#writing;
    if (this.#length > 0) {
      this.#writing = this.#sink.write(this.#start, this.#buffer.subarray(0, this.#length));
      // Whoever waits for it next is told of its failure; until then it is not unhandled.
      this.#writing?.catch(() => undefined);
      [this.#buffer, this.#spare] = [this.#spare, this.#buffer];
    }
    this.#start = position;
    this.#length = 0;
  }
}
