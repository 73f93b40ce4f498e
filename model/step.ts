import type { Artifact, Blob, Digest, Entry, Tree, TreeArtifact } from './artifact.ts';
import type { BlockSink, ExtentMap, TreeIndex } from './extents.ts';
import type { Json } from './json.ts';

/** A limited resource that a step holds while it works. */
export type Pool = 'net' | 'cpu' | 'disk' | 'vm';

/**
 * A kind of work. It is a function of `options`, of what its inputs are and of what its source was identified as, and of
 * nothing else: all of that, and the version, is its key.
 */
export interface Task {
  readonly kind: string;
  /** To be raised whenever `run` would make something else of the same inputs. */
  readonly version: number;
  readonly summary: string;
  readonly pool: Pool;
  /** The programs of the host that `run` uses; their digests are part of the key. */
  tools?(step: Step): readonly string[];
  run(context: StepContext): Promise<Artifact>;
  /** What a byte of a file that `run` made belongs to, in words: for who asks where two of them differ. */
  locate?(context: Pick<StepContext, 'store' | 'options' | 'inputs'>, position: number): Promise<string>;
}

/** Something outside the graph that a step reads: a URL, a directory. Only what it is identified as enters the key. */
export interface Source {
  /** For people: the URL or path. */
  readonly name: string;
  /** The file or folder of the host that it reads, if it reads one. */
  readonly path?: string | undefined;
  /** Where its bytes are taken from, in words or as a URL, if they are fetched. */
  readonly from?: string | undefined;
  /** Whether only its step, as it runs, finds out what it is. Any other must not change its mind meanwhile. */
  readonly learns?: boolean | undefined;
  /** What the source is now, if that can be told without any effect. */
  known(): Promise<Json | undefined>;
  /** What the source is now. Downloads it if nothing else can tell. */
  identify(context: SourceContext): Promise<Json>;
}

/** One use of a task. Steps with the same name are the same step. */
export interface Step {
  readonly name: string;
  readonly task: Task;
  readonly options: Json;
  readonly inputs: Readonly<Record<string, Step>>;
  readonly source?: Source | undefined;
  /** Where the file goes that the step makes, if it is not for the store. */
  readonly publish?: string | undefined;
}

/** What looks at bytes while they are stored, and may throw. */
export interface IntakeChecks {
  /** Sees each chunk before it is stored. */
  readonly tap?: (chunk: Buffer) => void | Promise<void>;
  /** Sees the digest of all of it before any of it can be seen in the store. */
  readonly accept?: (digest: Digest) => void;
}

/** Bytes and trees by their digests. Every read is verified; what is corrupt is thrown as `CorruptBlob`. */
export interface BlobStore {
  has(digest: Digest): boolean;
  putBytes(bytes: Uint8Array): Promise<Blob>;
  /** Stores what the chunks make together; if a chunk or a check throws, nothing of it is kept. */
  putChunks(chunks: AsyncIterable<Buffer>, checks?: IntakeChecks): Promise<Blob>;
  readBytes(digest: Digest): Promise<Buffer>;
  /** A file of the host with the verified bytes; not to be written to. */
  verifiedFile(digest: Digest): Promise<string>;
  /** The contents of the files, in order, in pieces; each file's digest is checked as its last piece is given. */
  readEntries(entries: readonly Entry[], signal: AbortSignal): AsyncGenerator<{ entry: Entry; piece: Buffer }>;
  /** Stores a map of extents, given as its bytes. */
  putMap(bytes: Buffer): Promise<Blob>;
  readMap(blob: Pick<Blob, 'digest'>): Promise<ExtentMap>;
  /** Writes the bytes of all sources of a map to where they go, each verified. */
  copy(map: ExtentMap, sink: BlockSink, signal: AbortSignal): Promise<void>;
  /** All bytes of one file of a tree. */
  readEntry(entry: Entry, signal: AbortSignal): Promise<Buffer>;
  putTree(tree: Tree): Promise<TreeArtifact>;
  readTree(artifact: Pick<TreeArtifact, 'digest'>): Promise<Tree>;
  /** The same in columns; what was put or read is not to be changed after that. */
  putIndex(index: TreeIndex): Promise<TreeArtifact>;
  readIndex(artifact: Pick<TreeArtifact, 'digest'>): Promise<TreeIndex>;
}

export interface SourceContext {
  readonly store: BlobStore;
  /** An empty directory for this step alone, made when first asked for. */
  scratch(): Promise<string>;
  readonly signal: AbortSignal;
  log(line: string): void;
  progress(done: number, total: number | undefined): void;
}

/** A file that a step published the last time, untouched since. */
export interface Prior {
  /** The digests of what its inputs were then. */
  readonly inputs: Readonly<Record<string, Digest>>;
  /** Moves it to `file`, where it may be changed; false if it is held by anybody or not what it was: then make a new one. */
  take(file: string): Promise<boolean>;
}

export interface StepContext extends SourceContext {
  readonly key: Digest;
  readonly options: Json;
  readonly inputs: Readonly<Record<string, Artifact>>;
  readonly source?: Source | undefined;
  /** What the source was identified as. */
  readonly identity?: Json | undefined;
  /** Of a step that publishes: what may save it work, and changes nothing of what it makes. */
  readonly prior?: Prior | undefined;
}

/** Thrown by a read of the store: the blob is gone, or not what it was. The engine makes it again. */
export class CorruptBlob extends Error {
  readonly digest: Digest;
  constructor(digest: Digest, detail: string) {
    super(`the cache's blob ${digest} ${detail}`);
    this.digest = digest;
  }
}
