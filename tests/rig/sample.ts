import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { FileSystem } from '../../formats/filesystem.ts';
import { PARTITION_START, partitionLength, writeGpt } from '../../formats/gpt.ts';
import { shifted } from '../../formats/sink.ts';
import { withParents } from '../../formats/tree.ts';
import { uuidFrom } from '../../formats/uuid.ts';
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

  /** The image of it, written for real. */
  async image(t: ExecutionContext, fileSystem: FileSystem, size: number): Promise<string> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-image-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'disk.img');
    const handle = openSync(file, 'w');
    ftruncateSync(handle, size);
    const sink = {
      write: async (position: number, bytes: Uint8Array) => {
        writeSync(handle, bytes, 0, bytes.length, position);
      },
    };
    const layout = fileSystem(withParents(this.entries), partitionLength(size));
    if (layout === undefined) throw new Error('the sample does not fit');
    await writeGpt(sink, { size, name: 'sampleroot', type: 'ext2', seed: 'sample' });
    const { contents } = this;
    await layout.write(
      { uuid: uuidFrom('sample', 'fs'), label: 'sample', time: TIME },
      async function* (entries) {
        for (const entry of entries) {
          if (entry.type !== 'file') continue;
          const content = contents.get(entry.content.blob)!;
          // In pieces that are no multiple of a block, as a store may give them.
          for (let at = 0; at < content.length; at += 1_000_003)
            yield { entry, piece: content.subarray(at, at + 1_000_003) };
        }
      },
      shifted(sink, PARTITION_START),
    );
    closeSync(handle);
    return file;
  }
}
