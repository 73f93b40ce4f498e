import { Readable } from 'node:stream';
import type { Headers } from 'tar-stream';

/** tar archives that pass through: tar(5). What is in trees is found by tar.ts. */

export interface Member {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly content: AsyncIterable<Buffer>;
  /** What it is, if it is no plain file of mode 0644. */
  readonly type?: 'file' | 'directory' | 'symlink';
  readonly mode?: number;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** An archive of members, the same for the same members: no owner, no time. */
export async function* writeTarball(members: AsyncIterable<Member>): AsyncGenerator<Buffer> {
  const { pack } = await import('tar-stream');
  const tar = pack();
  const work = (async () => {
    for await (const { name, size, content, type = 'file', mode = 0o644, target } of members) {
      const plain: Headers = { name, size, mode, uid: 0, gid: 0, mtime: new Date(0), type };
      const header = target === undefined ? plain : { ...plain, linkname: target };
      await new Promise<void>((resolve, reject) => {
        const entry = tar.entry(header, (error) => (error ? reject(error) : resolve()));
        // What has no content is over as soon as it has a header.
        if (type !== 'file') return;
        Readable.from(content)
          .on('error', (error) => entry.destroy(error))
          .pipe(entry);
      });
    }
    tar.finalize();
  })();
  work.catch((error: Error) => tar.destroy(error));
  for await (const chunk of tar) yield chunk as Buffer;
  await work;
}

/** The files of an archive, one after the other; each must be read before the next. Throws an Error if the bytes are not tar. */
export async function* readTarball(bytes: AsyncIterable<Buffer>): AsyncGenerator<Member> {
  const { extract } = await import('tar-stream');
  const tar = extract();
  Readable.from(bytes)
    .on('error', (error) => tar.destroy(error))
    .pipe(tar);
  for await (const entry of tar) {
    const { name, size = 0, type } = entry.header;
    if (type === 'file') yield { name, size, content: entry as unknown as AsyncIterable<Buffer> };
    else entry.resume();
  }
}
