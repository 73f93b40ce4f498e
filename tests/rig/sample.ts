import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { type FileSystemName, layOutDisk, mapOf } from '../../formats/disk.ts';
import { countSources, FIELDS, OWN, parseMap, writeSource } from '../../formats/extentmap.ts';
import { CoalescingSink } from '../../formats/sink.ts';
import { withParents } from '../../formats/tree.ts';
import { indexOf } from '../../formats/treeindex.ts';
import { sha256 } from '../../host/files.ts';
import { SparseFile } from '../../host/sparsefile.ts';
import type { Entry } from '../../model/artifact.ts';
import type { BlockSink, ExtentMap } from '../../model/extents.ts';

export const TIME = 1_700_000_000;

/** A tree whose files have the contents given, kept in memory. */
export class Sample {
  readonly contents = new Map<string, Buffer>();
  readonly entries: Entry[] = [];

  file(at: string, content: Buffer, more: Partial<Entry> & { hard?: true; blob?: string } = {}): this {
    const blob = more.blob ?? at;
    this.contents.set(blob, content);
    const slice = { blob, offset: 0, size: content.length, digest: sha256(content) };
    const { blob: _, ...attributes } = more;
    this.entries.push({
      path: at,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: TIME,
      ...attributes,
      type: 'file',
      content: slice,
    } as Entry);
    return this;
  }

  add(entry: Entry): this {
    this.entries.push(entry);
    return this;
  }

  /** What lies where on a disk with it. */
  map(fs: FileSystemName, size: number, seed = 'sample'): ExtentMap {
    const disk = layOutDisk(indexOf(withParents(this.entries)), { fs, size, partition: 'sampleroot' }, seed);
    if (disk === undefined) throw new Error('the sample does not fit');
    return parseMap(mapOf(disk));
  }

  /** Copies all sources of a map to where they go, in pieces that are no multiple of a block, as a store may do. */
  copy(map: ExtentMap, sink: BlockSink): void {
    const { sources, blobs, own } = map;
    for (let index = 0; index < countSources(map); index++) {
      const [blob, offset, size] = sources.subarray(index * FIELDS);
      const content = blob === OWN ? own.subarray(offset, offset! + size!) : this.contents.get(blobs[blob!]!)!;
      for (let from = 0; from < content.length; from += 1_000_003)
        writeSource(map, { index, from, bytes: content.subarray(from, from + 1_000_003) }, sink);
    }
  }

  /** The image of it, written for real. */
  async image(t: ExecutionContext, fs: FileSystemName, size: number, seed?: string): Promise<string> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-image-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'disk.img');
    using sparse = new SparseFile(file, size);
    const sink = new CoalescingSink(sparse);
    this.copy(this.map(fs, size, seed), sink);
    sink.flush();
    return file;
  }

  /** The bytes of a disk with it, for one that is small. */
  bytes(map: ExtentMap): Buffer {
    const image = Buffer.alloc(map.size);
    this.copy(map, into(image));
    return image;
  }
}

/** A sink that writes into a buffer. */
export function into(image: Buffer): BlockSink {
  return {
    write: (position, bytes, length = bytes.length) => {
      image.fill(0, position, position + length);
      image.set(bytes, position);
    },
  };
}
