import { blobsIn, type Digest, type FileEntry, type Slice } from '../model/artifact.ts';
import type { BlockSink, ExtentMap, Piece, Sources } from '../model/extents.ts';

/** Maps of extents: how they are made, kept as bytes, and asked. */

const MAGIC = 'smolmap1';
/** The magic and five numbers: size of the disk, sources, extents, own bytes, bytes of the names of blobs. */
const HEADER = 48;
/** The numbers of a source: which of the blobs or OWN, offset, size, CRC-32 or NO_CRC, which is its first extent. */
export const FIELDS = 5;
export const [BLOB, OFFSET, SIZE, CRC, FIRST] = [0, 1, 2, 3, 4];
export const OWN = -1;
export const NO_CRC = -1;
/** Bytes of a digest. */
export const DIGEST = 32;
const WORDS = DIGEST / 4;
/** The numbers of an extent: position, length. */
const EXTENT = 2;

/** So many bytes, up to the next multiple of 8. */
export function aligned(size: number): number {
  return Math.ceil(size / 8) * 8;
}

/** How much a map has of everything. */
interface Counts {
  readonly sources: number;
  readonly extents: number;
  /** Bytes. */
  readonly own: number;
  /** Bytes. */
  readonly names: number;
}

/** Where the parts of a map begin in its bytes, each at a multiple of 8, and where the last one ends. */
function placesOf({ sources, extents, own, names }: Counts) {
  const sourcesAt = HEADER + aligned(names);
  const extentsAt = sourcesAt + (sources + 1) * FIELDS * 8;
  const digestsAt = extentsAt + extents * EXTENT * 8;
  const ownAt = digestsAt + sources * DIGEST;
  return { sourcesAt, extentsAt, digestsAt, ownAt, end: ownAt + own };
}

/** The parts of a map; numbers are little-endian, as those of every host are. */
function partsOf(bytes: Buffer, counts: Counts) {
  const { sourcesAt, extentsAt, digestsAt, ownAt, end } = placesOf(counts);
  const numbers = (at: number, count: number) => new Float64Array(bytes.buffer, bytes.byteOffset + at, count);
  return {
    names: bytes.subarray(HEADER, HEADER + counts.names),
    sources: numbers(sourcesAt, (counts.sources + 1) * FIELDS),
    extents: numbers(extentsAt, counts.extents * EXTENT),
    digests: bytes.subarray(digestsAt, ownAt),
    own: bytes.subarray(ownAt, end),
  };
}

/** The map that such bytes are of. Throws a SyntaxError on anything else. */
export function parseMap(bytes: Buffer): ExtentMap {
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new SyntaxError('this is no map of extents');
  const [size, sources, extents, own, names] = new Float64Array(bytes.buffer, bytes.byteOffset + MAGIC.length, 5);
  const parts = partsOf(bytes, { sources: sources!, extents: extents!, own: own!, names: names! });
  return { ...parts, size: size!, blobs: JSON.parse(parts.names.toString()) as Digest[] };
}

/** Digests in words, with a sign: larger numbers would each be an object, as long as V8 has not optimized their loop. */
function integersOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** Makes a map, in the memory that becomes its bytes. */
export class MapBuilder {
  readonly #counts: Counts;
  readonly #bytes: Buffer;
  readonly #parts: ReturnType<typeof partsOf>;
  readonly #digests: Int32Array;
  readonly #files: Omit<Sources, 'own'>;
  readonly #fileDigests: Int32Array;
  readonly #size: number;
  #sources = 0;
  #extents = 0;
  #own = 0;

  /** `size` is that of the disk. There must be as many of everything as is said; own bytes, each aligned, may be fewer. */
  constructor(size: number, files: Omit<Sources, 'own'>, counts: Omit<Counts, 'names'>) {
    const names = Buffer.from(JSON.stringify(files.blobs));
    this.#files = files;
    this.#fileDigests = integersOf(files.digests);
    this.#size = size;
    this.#counts = { ...counts, names: names.length };
    // Memory that is never touched costs nothing.
    this.#bytes = Buffer.alloc(placesOf(this.#counts).end);
    this.#parts = partsOf(this.#bytes, this.#counts);
    this.#digests = integersOf(this.#parts.digests);
    names.copy(this.#parts.names);
  }

  /** Where the next own bytes are to be written, at a multiple of 8; nothing but zeros so far. */
  get own(): Buffer {
    return this.#parts.own.subarray(this.#own);
  }

  /** So many bytes that were written to `own` are a source. Its extents follow. */
  addOwn(size: number): void {
    const { sources } = this.#parts;
    const at = this.#next() * FIELDS;
    sources[at + BLOB] = OWN;
    sources[at + OFFSET] = this.#own;
    sources[at + SIZE] = size;
    sources[at + CRC] = NO_CRC;
    this.#own += aligned(size);
  }

  /** The contents of a file are a source. Its extents follow. */
  addFile(n: number): void {
    const { sources } = this.#parts;
    const next = this.#next();
    const to = next * FIELDS;
    const from = n * FIELDS;
    sources[to + BLOB] = this.#files.sources[from + BLOB]!;
    sources[to + OFFSET] = this.#files.sources[from + OFFSET]!;
    sources[to + SIZE] = this.#files.sources[from + SIZE]!;
    sources[to + CRC] = this.#files.sources[from + CRC]!;
    // To copy so few bytes in any other way takes longer.
    for (let k = 0; k < WORDS; k++) this.#digests[next * WORDS + k] = this.#fileDigests[n * WORDS + k]!;
  }

  addExtent(position: number, length: number): void {
    this.#parts.extents[this.#extents * EXTENT] = position;
    this.#parts.extents[this.#extents * EXTENT + 1] = length;
    this.#extents++;
  }

  /** The number of the next source, whose extents will be the next ones. */
  #next(): number {
    this.#parts.sources[this.#sources * FIELDS + FIRST] = this.#extents;
    return this.#sources++;
  }

  /** The bytes of the map. */
  end(): Buffer {
    const { sources, extents, names } = this.#counts;
    this.#bytes.write(MAGIC, 'latin1');
    if (this.#next() !== sources || this.#extents !== extents) throw new Error('a map is not as large as it was to be');
    for (const [n, value] of [this.#size, sources, extents, this.#own, names].entries()) {
      this.#bytes.writeDoubleLE(value, MAGIC.length + n * 8);
    }
    return this.#bytes.subarray(0, placesOf({ ...this.#counts, own: this.#own }).end);
  }
}

/** How many sources a map has. */
export function countSources({ sources }: Pick<Sources, 'sources'>): number {
  return sources.length / FIELDS - 1;
}

/** Sets sources to be the contents of files; there must be as many. */
export function fillSources({ blobs, sources, digests }: Omit<Sources, 'own'>, files: readonly FileEntry[]): void {
  const numbers = new Map(blobs.map((blob, n) => [blob, n]));
  for (let n = 0; n < files.length; n++) {
    const { content } = files[n]!;
    setSource({ sources, digests }, n, numbers.get(content.blob)!, content);
  }
}

/** Sets a source to be a slice of the blob of that number. */
function setSource(
  { sources, digests }: Pick<Sources, 'sources' | 'digests'>,
  n: number,
  blob: number,
  { offset, size, digest, crc = NO_CRC }: Slice,
): void {
  const at = n * FIELDS;
  sources[at + BLOB] = blob;
  sources[at + OFFSET] = offset;
  sources[at + SIZE] = size;
  sources[at + CRC] = crc;
  digests.write(digest, n * DIGEST, 'hex');
}

/** The contents of files as sources. */
export function sourcesOf(files: readonly FileEntry[]): Sources {
  const own = Buffer.alloc(0);
  const sources = new Float64Array((files.length + 1) * FIELDS);
  const made = { blobs: blobsIn(files), own, sources, digests: Buffer.alloc(files.length * DIGEST) };
  fillSources(made, files);
  return made;
}

/** The extents of a source, or of all. */
export function* extentsOf({ sources, extents }: ExtentMap, n?: number): Generator<[position: number, length: number]> {
  const first = n === undefined ? 0 : sources[n * FIELDS + FIRST]!;
  const end = n === undefined ? extents.length / EXTENT : sources[(n + 1) * FIELDS + FIRST]!;
  for (let each = first; each < end; each++) yield [extents[each * EXTENT]!, extents[each * EXTENT + 1]!];
}

/** The source that a byte of the disk comes from: the blob, none for own bytes, and the offset in it; undefined if there is none. */
export function sourceAt(map: ExtentMap, position: number): { blob: Digest | undefined; offset: number } | undefined {
  for (let n = 0; n < countSources(map); n++) {
    for (const [from, length] of extentsOf(map, n)) {
      if (position < from || position >= from + length) continue;
      const [blob, offset] = map.sources.subarray(n * FIELDS);
      return { blob: map.blobs[blob!], offset: offset! };
    }
  }
  return undefined;
}

/** Writes a piece of a source to where it goes; with the last one, zeros to the end of the extent. */
export function writeSource(map: ExtentMap, { index, from, bytes }: Piece, sink: BlockSink): void {
  const { sources, extents } = map;
  const size = sources[index * FIELDS + SIZE]!;
  const first = sources[index * FIELDS + FIRST]!;
  const end = sources[(index + 1) * FIELDS + FIRST]!;
  if (bytes.length === size && end === first + 1) {
    // Most are so small.
    sink.write(extents[first * EXTENT]!, bytes, extents[first * EXTENT + 1]!);
    return;
  }
  let at = 0;
  for (let n = first; n < end && at < from + bytes.length; n++) {
    const position = extents[n * EXTENT]!;
    const length = extents[n * EXTENT + 1]!;
    const begin = Math.max(from, at);
    const last = Math.min(from + bytes.length, at + length);
    if (begin < last) {
      const part = bytes.subarray(begin - from, last - from);
      sink.write(position + begin - at, part, last === size ? at + length - begin : part.length);
    }
    at += length;
  }
}

/** Whether two sources have the same bytes at the same places. */
export function isSameSource(a: ExtentMap, n: number, b: ExtentMap, m: number): boolean {
  const p = n * FIELDS;
  const q = m * FIELDS;
  const isOwn = a.sources[p + BLOB] === OWN;
  if (a.sources[p + SIZE] !== b.sources[q + SIZE] || isOwn !== (b.sources[q + BLOB] === OWN)) return false;
  const first = a.sources[p + FIRST]!;
  const end = a.sources[p + FIELDS + FIRST]!;
  const shift = b.sources[q + FIRST]! - first;
  if (b.sources[q + FIELDS + FIRST]! - shift !== end) return false;
  for (let k = first * EXTENT; k < end * EXTENT; k++) {
    if (a.extents[k] !== b.extents[k + shift * EXTENT]) return false;
  }
  const [from, to, size] = [a.sources[p + OFFSET]!, b.sources[q + OFFSET]!, a.sources[p + SIZE]!];
  if (isOwn) return a.own.compare(b.own, to, to + size, from, from + size) === 0;
  // The same place in the same blob is told sooner than the same digest.
  const isSameSlice = from === to && a.blobs[a.sources[p + BLOB]!] === b.blobs[b.sources[q + BLOB]!];
  return isSameSlice || a.digests.compare(b.digests, m * DIGEST, (m + 1) * DIGEST, n * DIGEST, (n + 1) * DIGEST) === 0;
}

/** Whether two maps say the same of the sources from one up to another; where they do not, these may still be the same. */
export function areSame(a: ExtentMap, b: ExtentMap, from: number, to: number): boolean {
  const isSame = (x: Float64Array | Buffer, y: Float64Array | Buffer, first: number, end: number) => {
    const unit = x.BYTES_PER_ELEMENT;
    return bytesOf(x).compare(bytesOf(y), first * unit, end * unit, first * unit, end * unit) === 0;
  };
  if (!isSame(a.sources, b.sources, from * FIELDS, to * FIELDS)) return false;
  const [first, end] = [a.sources[from * FIELDS + FIRST]!, a.sources[to * FIELDS + FIRST]!];
  if (b.sources[to * FIELDS + FIRST] !== end) return false;
  if (!isSame(a.extents, b.extents, first * EXTENT, end * EXTENT)) return false;
  if (!isSame(a.digests, b.digests, from * DIGEST, to * DIGEST)) return false;
  return isSame(a.own, b.own, ...ownIn(a, from, to));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array | Buffer): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Where the own bytes of sources begin and end, from one up to another: they lie in their order. */
function ownIn({ sources }: ExtentMap, from: number, to: number): [number, number] {
  let first = from;
  while (first < to && sources[first * FIELDS + BLOB] !== OWN) first++;
  if (first === to) return [0, 0];
  let last = to - 1;
  while (sources[last * FIELDS + BLOB] !== OWN) last--;
  return [sources[first * FIELDS + OFFSET]!, sources[last * FIELDS + OFFSET]! + sources[last * FIELDS + SIZE]!];
}

/** Where the first byte of a source goes. */
export function placeOf({ sources, extents }: ExtentMap, n: number): number {
  return extents[sources[n * FIELDS + FIRST]! * EXTENT]!;
}

/** A map of some of the sources of another. */
export function subsetOf(map: ExtentMap, chosen: readonly number[]): ExtentMap {
  const sources = new Float64Array((chosen.length + 1) * FIELDS);
  const extents: number[] = [];
  const digests = chosen.map((n) => map.digests.subarray(n * DIGEST, (n + 1) * DIGEST));
  for (const [k, n] of chosen.entries()) {
    sources.set(map.sources.subarray(n * FIELDS, (n + 1) * FIELDS), k * FIELDS);
    sources[k * FIELDS + FIRST] = extents.length / EXTENT;
    for (const extent of extentsOf(map, n)) extents.push(...extent);
  }
  sources[chosen.length * FIELDS + FIRST] = extents.length / EXTENT;
  return { ...map, sources, extents: Float64Array.from(extents), digests: Buffer.concat(digests) };
}
