import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Disk, type FileSystemName, layOutDisk, writeDisk } from '../../formats/disk.ts';
import type { Contents } from '../../formats/filewriter.ts';
import { withParents } from '../../formats/tree.ts';
import { sha256 } from '../../host/files.ts';
import type { Entry } from '../../model/artifact.ts';

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

  /** A disk with it. */
  disk(fs: FileSystemName, size: number, seed = 'sample'): Disk {
    const disk = layOutDisk(withParents(this.entries), { fs, size, partition: 'sampleroot' }, seed);
    if (disk === undefined) throw new Error('the sample does not fit');
    return disk;
  }

  /** The contents of its files, in pieces that are no multiple of a block, as a store may give them. */
  read(): Contents {
    const { contents } = this;
    return async function* (entries) {
      for (const entry of entries) {
        if (entry.type !== 'file') continue;
        const content = contents.get(entry.content.blob)!;
        for (let at = 0; at < content.length; at += 1_000_003)
          yield { entry, piece: content.subarray(at, at + 1_000_003) };
      }
    };
  }

  /** The image of it, written for real. */
  async image(t: ExecutionContext, fs: FileSystemName, size: number, seed?: string): Promise<string> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-image-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'disk.img');
    const handle = openSync(file, 'w');
    ftruncateSync(handle, size);
    const write = async (position: number, bytes: Uint8Array) => {
      writeSync(handle, bytes, 0, bytes.length, position);
    };
    await writeDisk(this.disk(fs, size, seed), this.read(), { write });
    closeSync(handle);
    return file;
  }

  /** The bytes of a disk with it, for one that is small. */
  async bytes(disk: Disk): Promise<Buffer> {
    const image = Buffer.alloc(disk.size);
    const write = async (position: number, bytes: Uint8Array) => image.set(bytes, position);
    await writeDisk(disk, this.read(), { write });
    return image;
  }
}
