import { closeSync, fsyncSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { grownGpt } from '../formats/gpt.ts';
import { SECTOR } from '../formats/sectors.ts';
import { asProblem, isHeld } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import { imageHeld, notGrowable } from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
import { findImage } from './images.ts';
import type { Caller } from './session.ts';

export interface Growth {
  readonly file: string;
  /** Bytes. */
  readonly before: number;
  readonly after: number;
  /** Whether it has a GPT, whose last partition has grown with it. */
  readonly partition: boolean;
}

/**
 * Makes an image larger, by a size such as `4G`: the file gets a hole at its end, and the last partition of its GPT reaches
 * over it. The file system in it stays: the guest makes it larger when it boots (NetBSD's resize_ffs(8)). Throws
 * `image-held`, `not-growable` and `no-such-image`.
 */
export async function grow(caller: Pick<Caller, 'folder'>, name: string, by: string, arch?: string): Promise<Growth> {
  const file = await findImage(caller, name, arch);
  const shown = path.relative(caller.folder, file);
  const before = statSync(file).size;
  if (before % SECTOR !== 0) throw notGrowable(shown, `its ${before} bytes are no whole number of sectors`);
  if (await isHeld(file)) throw imageHeld(shown);
  const after = before + parseSize(by);
  const extents = tablesFor(file, after);
  if (extents === undefined) throw notGrowable(shown, 'its GPT has no partition, or a form that smol does not know');
  try {
    const handle = openSync(file, 'r+');
    try {
      ftruncateSync(handle, after);
      for (const { position, bytes } of extents) {
        writeSync(handle, bytes, 0, bytes.length, position);
        // A power cut between two of them leaves one table that is whole.
        fsyncSync(handle);
      }
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw asProblem(error, shown);
  }
  return { file, before, after, partition: extents.length > 0 };
}

/** What to write; nothing for an image without a GPT; undefined if its GPT cannot be made larger. */
function tablesFor(file: string, after: number) {
  using source = new ImageFile(file);
  return grownGpt(source, after);
}
