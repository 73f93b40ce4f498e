import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type Headers, pack } from 'tar-stream';

/** One thing in an archive: a text is a file, null a directory. */
export type Content = string | Buffer | null | { link: string } | { symlink: string };
export type Member = { readonly name: string; readonly content: Content } & Partial<
  Pick<Headers, 'mode' | 'uid' | 'gid' | 'mtime' | 'type' | 'devmajor' | 'devminor'>
>;

const MTIME = new Date('2025-03-01T12:00:00Z');

/** A real tar archive. */
export async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const tar = pack();
  const parts: Buffer[] = [];
  tar.on('data', (part: Buffer) => parts.push(part));
  const over = new Promise((resolve) => tar.on('end', resolve));
  for (const { name, content, ...rest } of members) {
    const base = { name, uid: 0, gid: 0, mtime: MTIME, ...rest };
    if (content === null) tar.entry({ mode: 0o755, type: 'directory', ...base });
    else if (typeof content === 'string' || Buffer.isBuffer(content))
      tar.entry({ mode: 0o644, ...base }, content as string);
    else if ('link' in content) tar.entry({ mode: 0o644, type: 'link', linkname: content.link, ...base });
    else tar.entry({ mode: 0o777, type: 'symlink', linkname: content.symlink, ...base });
  }
  tar.finalize();
  await over;
  return Buffer.concat(parts);
}

/** As mirrors serve it: tgz, or tar.xz by Debian's xz. */
export function compressed(tar: Buffer, ending: 'tgz' | 'tar.xz'): Buffer {
  return ending === 'tgz' ? gzipSync(tar) : execFileSync('xz', ['-1'], { input: tar, maxBuffer: 2 ** 30 });
}

export function sha512(bytes: Buffer): string {
  return createHash('sha512').update(bytes).digest('hex');
}

/** Members that stand for the sets of NetBSD, small. */
export const RESCUE: readonly Member[] = [
  { name: './rescue/', content: null },
  { name: './rescue/init', content: 'init\n'.repeat(2000), mode: 0o555 },
  { name: './rescue/sh', content: { link: './rescue/init' }, mode: 0o555 },
  { name: './rescue/mount_ext2fs', content: { link: './rescue/init' }, mode: 0o555 },
];

export const ETC: readonly Member[] = [
  { name: './dev/', content: null },
  { name: './dev/MAKEDEV', content: '#!/bin/sh\nmount_tmpfs -o union tmpfs /dev\n', mode: 0o555 },
  { name: './dev/MAKEDEV.local', content: '#!/bin/sh\n', mode: 0o555 },
  { name: './etc/', content: null },
  { name: './etc/rc', content: '#!/bin/sh\necho the rc of the set\n' },
  { name: './etc/master.passwd', content: 'root:*:0:0::0:0:Charlie &:/root:/bin/sh\n', mode: 0o600 },
  { name: './etc/dumpdates', content: '', mode: 0o664, gid: 5 },
  { name: './var/', content: null },
  { name: './var/games/', content: null, uid: 7, gid: 13, mode: 0o2775 },
  { name: './tmp/', content: null, mode: 0o1777 },
];

/** A set of so many entries, with sizes and depths like those of NetBSD's base. */
export function manyMembers(count: number): Member[] {
  const members: Member[] = [{ name: './usr/', content: null }];
  for (let n = 0; members.length < count; n++) {
    if (n % 40 === 0) members.push({ name: `./usr/d${n / 40}/`, content: null });
    const name = `./usr/d${Math.floor(n / 40)}/file${n}`;
    if (n % 23 === 7) members.push({ name, content: { symlink: `file${n - 1}` } });
    else if (n % 31 === 9) members.push({ name, content: { link: `./usr/d${Math.floor((n - 1) / 40)}/file${n - 1}` } });
    else
      members.push({
        name,
        content: Buffer.alloc((n * 7919) % 9000, `content of ${n}\n`),
        mode: n % 5 ? 0o444 : 0o555,
        gid: n % 7,
      });
  }
  return members.slice(0, count);
}
