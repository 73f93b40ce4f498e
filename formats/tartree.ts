import type { Headers } from 'tar-stream';
import type { Entry, Tree } from '../model/artifact.ts';
import { inodeOf } from './tree.ts';

const TYPES = {
  file: 'file',
  directory: 'directory',
  symlink: 'symlink',
  character: 'character-device',
  block: 'block-device',
  fifo: 'fifo',
} as const;
/** What the octal digits of a header have room for; larger numbers go into a pax header. */
const LARGEST_ID = 0o777777;

/** The contents of files in the order in which they are asked for, in pieces that together are the file. */
export type Contents = (entries: readonly Entry[]) => AsyncGenerator<{ entry: Entry; piece: Buffer }>;

/** A tree as a tar archive, as GNU tar and bsdtar unpack it: owners by number, devices, hard links. */
export async function* tarOfTree(tree: Tree, contents: Contents): AsyncGenerator<Buffer> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  const work = async () => {
    const names = new Map<string, string>();
    const firsts = tree.filter((entry) => entry.type === 'file' && !isLater(entry, names));
    const pieces = contents(firsts);
    names.clear();
    for (const entry of tree) {
      if (isLater(entry, names)) {
        tar.entry({ ...headerOf(entry), type: 'link', linkname: names.get(inodeOf(entry))!, size: 0 });
        continue;
      }
      if (entry.type !== 'file') {
        tar.entry(headerOf(entry));
        continue;
      }
      await new Promise<void>((resolve, reject) => {
        const stream = tar.entry({ ...headerOf(entry), size: entry.content.size }, (error) =>
          error ? reject(error) : resolve(),
        );
        const fill = async () => {
          for (let left = entry.content.size; left > 0; ) {
            const { piece } = (await pieces.next()).value as { piece: Buffer };
            left -= piece.length;
            // A piece is good until the next one only.
            if (!stream.write(Buffer.from(piece)))
              await new Promise<void>((drained) => stream.once('drain', () => drained()));
          }
          stream.end();
        };
        fill().catch(reject);
      });
    }
    tar.finalize();
  };
  const done = work();
  done.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Buffer;
  await done;
}

/** Whether a file is another name of one that came before; notes those that are the first. */
function isLater(entry: Entry, names: Map<string, string>): boolean {
  if (entry.type !== 'file' || !entry.hard) return false;
  const inode = inodeOf(entry);
  if (names.has(inode)) return true;
  names.set(inode, entry.path);
  return false;
}

function headerOf(entry: Entry): Headers {
  const { path, type, mode, uid, gid, mtime = 0 } = entry;
  const pax = { ...(uid > LARGEST_ID && { uid: String(uid) }), ...(gid > LARGEST_ID && { gid: String(gid) }) };
  return {
    name: type === 'directory' ? `./${path}/`.replace('//', '/') : path,
    type: TYPES[type],
    mode,
    uid: Math.min(uid, LARGEST_ID),
    gid: Math.min(gid, LARGEST_ID),
    mtime: new Date(mtime * 1000),
    ...(type === 'symlink' && { linkname: entry.target }),
    ...('major' in entry && { devmajor: entry.major, devminor: entry.minor }),
    ...(Object.keys(pax).length > 0 && { pax }),
  } as Headers;
}
