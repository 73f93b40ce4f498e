import type { Digest, Slice } from '../model/artifact.ts';
import type { BlockSink, ExtentMap } from '../model/extents.ts';

/** Maps of extents: how they are made, kept as bytes, and asked. */

const MAGIC = 'smolmap1';
/** The magic and five numbers: size of the disk, sources, extents, own bytes, bytes of the names of blobs. */
const HEADER = 48;
/** The numbers of a source, and of an extent. */
const SOURCE = 5;
const EXTENT = 2;
const DIGEST = 32;
const OWN = -1;
const NO_CRC = -1;

/** How much a map has of everything. */
interface Counts {
  readonly sources: number;
  readonly extents: number;
  /** Bytes. */
  readonly own: number;
  /** Bytes. */
  readonly names: number;
}

/** The parts of a map in its bytes, each at a multiple of 8; numbers are little-endian, as those of every host are. */
function partsOf(bytes: Buffer, { sources, extents, own, names }: Counts) {
  const sourcesAt = HEADER + Math.ceil(names / 8) * 8;
  const extentsAt = sourcesAt + (sources + 1) * SOURCE * 8;
  const digestsAt = extentsAt + extents * EXTENT * 8;
  const ownAt = digestsAt + sources * DIGEST;
  const numbers = (at: number, count: number) => new Float64Array(bytes.buffer, bytes.byteOffset + at, count);
  return {
    names: bytes.subarray(HEADER, HEADER + names),
    sources: numbers(sourcesAt, (sources + 1) * SOURCE),
    extents: numbers(extentsAt, extents * EXTENT),
    digests: bytes.subarray(digestsAt, ownAt),
    own: bytes.subarray(ownAt, ownAt + own),
    ownAt,
  };
}

/** The map that such bytes are of. Throws a SyntaxError on anything else. */
export function parseMap(bytes: Buffer): ExtentMap {
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new SyntaxError('this is no map of extents');
  const [size, sources, extents, own, names] = new Float64Array(bytes.buffer, bytes.byteOffset + MAGIC.length, 5);
  const parts = partsOf(bytes, { sources: sources!, extents: extents!, own: own!, names: names! });
  return { ...parts, size: size!, blobs: JSON.parse(parts.names.toString()) as Digest[] };
}

/** Makes a map, in the memory that becomes its bytes. */
export class MapBuilder {
  readonly #counts: Counts;
  readonly #bytes: Buffer;
  readonly #parts: ReturnType<typeof partsOf>;
  readonly #blobs: ReadonlyMap<Digest, number>;
  readonly #size: number;
  #sources = 0;
  #extents = 0;
  #own = 0;

  /** `size` is that of the disk. There must be as many of everything as is said; own bytes may be fewer. */
  constructor(size: number, blobs: readonly Digest[], counts: Omit<Counts, 'names'>) {
    const names = Buffer.from(JSON.stringify(blobs));
    this.#size = size;
    this.#blobs = new Map(blobs.map((blob, n) => [blob, n]));
    this.#counts = { ...counts, names: names.length };
    const { sources, extents, own } = this.#counts;
    const length =
      HEADER + names.length + 8 + (sources + 1) * SOURCE * 8 + extents * EXTENT * 8 + sources * DIGEST + own;
    // Memory that is never touched costs nothing.
    this.#bytes = Buffer.alloc(length);
    this.#parts = partsOf(this.#bytes, this.#counts);
    names.copy(this.#parts.names);
  }

  /** Where the next own bytes are to be written; nothing but zeros so far. */
  get own(): Buffer {
    return this.#parts.own.subarray(this.#own);
  }

  /** So many bytes that were written to `own` are a source. Its extents follow. */
  addOwn(size: number): void {
    this.#add(OWN, this.#own, size, NO_CRC);
    this.#own += size;
  }

  /** A slice is a source. Its extents follow. */
  addSlice({ blob, offset, size, digest, crc = NO_CRC }: Slice): void {
    this.#parts.digests.write(digest, this.#sources * DIGEST, 'hex');
    this.#add(this.#blobs.get(blob)!, offset, size, crc);
  }

  addExtent(position: number, length: number): void {
    this.#parts.extents[this.#extents * EXTENT] = position;
    this.#parts.extents[this.#extents * EXTENT + 1] = length;
    this.#extents++;
  }

  #add(blob: number, offset: number, size: number, crc: number): void {
    const { sources } = this.#parts;
    const at = this.#sources++ * SOURCE;
    sources[at] = blob;
    sources[at + 1] = offset;
    sources[at + 2] = size;
    sources[at + 3] = crc;
    sources[at + 4] = this.#extents;
  }

  /** The bytes of the map. */
  end(): Buffer {
    this.#parts.sources[this.#sources * SOURCE + 4] = this.#extents;
    this.#bytes.write(MAGIC, 'latin1');
    const { sources, extents, names } = this.#counts;
    if (this.#sources !== sources || this.#extents !== extents)
      throw new Error('a map is not as large as it was to be');
    for (const [n, value] of [this.#size, sources, extents, this.#own, names].entries()) {
      this.#bytes.writeDoubleLE(value, MAGIC.length + n * 8);
    }
    return this.#bytes.subarray(0, this.#parts.ownAt + this.#own);
  }
}

/** How many sources a map has. */
export function countSources({ sources }: ExtentMap): number {
  return sources.length / SOURCE - 1;
}

/** The bytes of a source. */
export function sizeOf({ sources }: ExtentMap, n: number): number {
  return sources[n * SOURCE + 2]!;
}

/** The bytes of a source that are own bytes; undefined if it is a slice of a blob. */
export function ownBytes({ sources, own }: ExtentMap, n: number): Buffer | undefined {
  const at = n * SOURCE;
  return sources[at] === OWN ? own.subarray(sources[at + 1]!, sources[at + 1]! + sources[at + 2]!) : undefined;
}

/** A source that is a slice of a blob. */
export class SourceSlice implements Slice {
  readonly #map: ExtentMap;
  readonly index: number;

  constructor(map: ExtentMap, index: number) {
    this.#map = map;
    this.index = index;
  }

  get blob(): Digest {
    return this.#map.blobs[this.#number(0)]!;
  }
  get offset(): number {
    return this.#number(1);
  }
  get size(): number {
    return this.#number(2);
  }
  get crc(): number | undefined {
    const crc = this.#number(3);
    return crc === NO_CRC ? undefined : crc;
  }
  get digest(): Digest {
    return this.#map.digests.toString('hex', this.index * DIGEST, (this.index + 1) * DIGEST);
  }

  #number(field: number): number {
    return this.#map.sources[this.index * SOURCE + field]!;
  }
}

/** The sources of a map that are slices of blobs, in order. */
export function slicesOf(map: ExtentMap): SourceSlice[] {
  const slices: SourceSlice[] = [];
  for (let n = 0; n < countSources(map); n++) if (map.sources[n * SOURCE] !== OWN) slices.push(new SourceSlice(map, n));
  return slices;
}

/** The extents of a source, or of all. */
export function* extentsOf({ sources, extents }: ExtentMap, n?: number): Generator<[position: number, length: number]> {
  const first = n === undefined ? 0 : sources[n * SOURCE + 4]!;
  const end = n === undefined ? extents.length / EXTENT : sources[(n + 1) * SOURCE + 4]!;
  for (let each = first; each < end; each++) yield [extents[each * EXTENT]!, extents[each * EXTENT + 1]!];
}

/** Writes bytes of a source, from its byte `from` on, to where they go; with the last of them, zeros to the end of the extent. */
export function writeSource(map: ExtentMap, n: number, from: number, bytes: Buffer, sink: BlockSink): void {
  const { sources, extents } = map;
  const size = sizeOf(map, n);
  const end = sources[(n + 1) * SOURCE + 4]!;
  let at = 0;
  for (let each = sources[n * SOURCE + 4]!; each < end && at < from + bytes.length; each++) {
    const position = extents[each * EXTENT]!;
    const length = extents[each * EXTENT + 1]!;
    const first = Math.max(from, at);
    const last = Math.min(from + bytes.length, at + length);
    if (first < last) {
      const part = last - first === bytes.length ? bytes : bytes.subarray(first - from, last - from);
      sink.write(position + first - at, part, last === size ? at + length - first : part.length);
    }
    at += length;
  }
}

/** Whether two sources have the same bytes at the same places. */
export function isSameSource(a: ExtentMap, n: number, b: ExtentMap, m: number): boolean {
  if (sizeOf(a, n) !== sizeOf(b, m)) return false;
  const [first, end] = [a.sources[n * SOURCE + 4]!, a.sources[(n + 1) * SOURCE + 4]!];
  const shift = b.sources[m * SOURCE + 4]! - first;
  if (b.sources[(m + 1) * SOURCE + 4]! - shift !== end) return false;
  for (let k = first * EXTENT; k < end * EXTENT; k++) {
    if (a.extents[k] !== b.extents[k + shift * EXTENT]) return false;
  }
  const [own, other] = [ownBytes(a, n), ownBytes(b, m)];
  if (own !== undefined && other !== undefined) return own.equals(other);
  const digest = ({ digests }: ExtentMap, k: number) => digests.subarray(k * DIGEST, (k + 1) * DIGEST);
  return own === other && digest(a, n).equals(digest(b, m));
}

/** Where the first byte of each source goes, with the source. */
export function placesOf(map: ExtentMap): Map<number, number> {
  const places = new Map<number, number>();
  for (let n = 0; n < countSources(map); n++) places.set(map.extents[map.sources[n * SOURCE + 4]! * EXTENT]!, n);
  return places;
}

/** A map of some of the sources of another. */
export function subsetOf(map: ExtentMap, chosen: readonly number[]): ExtentMap {
  const sources = new Float64Array((chosen.length + 1) * SOURCE);
  const extents: number[] = [];
  const digests = chosen.map((n) => map.digests.subarray(n * DIGEST, (n + 1) * DIGEST));
  for (const [k, n] of chosen.entries()) {
    sources.set(map.sources.subarray(n * SOURCE, (n + 1) * SOURCE), k * SOURCE);
    sources[k * SOURCE + 4] = extents.length / EXTENT;
    for (const extent of extentsOf(map, n)) extents.push(...extent);
  }
  sources[chosen.length * SOURCE + 4] = extents.length / EXTENT;
  return { ...map, sources, extents: Float64Array.from(extents), digests: Buffer.concat(digests) };
}
