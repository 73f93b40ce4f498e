/**
 * cacache's contents without its index, which would hold a file more for each blob and is only ever appended to: blobs are
 * found by their digests alone, and what they are for, the key records say.
 */
declare module 'cacache/lib/content/write.js' {
  import type { EventEmitter } from 'node:events';
  import type { Writable } from 'node:stream';

  interface Options {
    readonly algorithms: readonly ['sha256'];
    /** Tells a stream's integrity and size, so that it need not be hashed again. */
    readonly integrityEmitter?: EventEmitter;
  }
  const write: {
    /** Stores what is written to it; emits `integrity` when that is done. */
    stream(folder: string, options: Options): Writable;
  };
  export default write;
}
