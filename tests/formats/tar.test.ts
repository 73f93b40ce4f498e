import test from 'ava';
import { crc32 } from '../../formats/crc32.ts';
import { TarIndexer } from '../../formats/tar.ts';
import { sha256 } from '../../host/files.ts';
import type { Entry } from '../../model/artifact.ts';
import { Problem } from '../../model/problem.ts';
import { type Member, tarOf } from '../rig/archives.ts';

async function index(tar: Buffer, chunk = 700): Promise<Entry[]> {
  const indexer = await TarIndexer.open('sets.tar');
  for (let at = 0; at < tar.length; at += chunk) await indexer.write(tar.subarray(at, at + chunk));
  return (await indexer.end())('blob');
}

async function refused(members: readonly Member[]): Promise<[string, string]> {
  try {
    await index(await tarOf(members));
  } catch (error) {
    if (error instanceof Problem) return [error.code, error.message];
    throw error;
  }
  return ['nothing', 'was refused'];
}

test('entries are found where they lie, in whatever pieces the archive comes', async (t) => {
  const tar = await tarOf([
    { name: './dir/', content: null, mode: 0o1777, uid: 7, gid: 13 },
    { name: './dir/file', content: 'hello', mode: 0o4555, uid: 3 },
    { name: './dir/again', content: { link: './dir/file' }, mode: 0o644 },
    { name: 'link', content: { symlink: 'dir/file' } },
    { name: `long/${'n'.repeat(180)}`, content: 'a name for pax' },
    { name: 'dev', content: '', type: 'character-device', devmajor: 2, devminor: 300 },
  ]);
  for (const chunk of [1, 512, 700, tar.length]) {
    const entries = await index(tar, chunk);
    t.deepEqual(
      entries.map(({ path, type, mode, uid, gid }) => [path.slice(0, 8), type, mode, uid, gid]),
      [
        ['dev', 'character', 0o644, 0, 0],
        ['dir', 'directory', 0o1777, 7, 13],
        ['dir/agai', 'file', 0o4555, 3, 0],
        ['dir/file', 'file', 0o4555, 3, 0],
        ['link', 'symlink', 0o777, 0, 0],
        ['long/nnn', 'file', 0o644, 0, 0],
      ],
    );
    for (const entry of entries) {
      if (entry.type !== 'file') continue;
      const { offset, size, digest, crc } = entry.content;
      const bytes = tar.subarray(offset, offset + size);
      t.is(bytes.toString(), entry.path.startsWith('long') ? 'a name for pax' : 'hello');
      t.deepEqual([digest, crc], [sha256(bytes), crc32(bytes)]);
      t.is(entry.hard, entry.path.startsWith('dir/') ? true : undefined);
    }
  }
});

test('of a path that is there twice the last is taken', async (t) => {
  const [entry] = await index(
    await tarOf([
      { name: 'f', content: 'first' },
      { name: './f', content: 'second', mode: 0o600 },
    ]),
  );
  t.like(entry, { mode: 0o600, content: { size: 6 } });
});

test('what leads out of the archive is refused', async (t) => {
  t.deepEqual(await refused([{ name: '../evil', content: 'x' }]), [
    'unsafe-path',
    'sets.tar holds "../evil", which leads out of the archive',
  ]);
  t.deepEqual(await refused([{ name: 'a/../../evil', content: 'x' }]), [
    'unsafe-path',
    'sets.tar holds "a/../../evil", which leads out of the archive',
  ]);
  t.deepEqual(await refused([{ name: '/etc/passwd', content: 'x' }]), [
    'unsafe-path',
    'sets.tar holds "/etc/passwd", which is absolute',
  ]);
  t.deepEqual(await refused([{ name: 'a', content: { link: '/etc/passwd' } }]), [
    'unsafe-path',
    'sets.tar holds "/etc/passwd", which is absolute',
  ]);
  t.deepEqual(await refused([{ name: 'a', content: { link: 'b' } }]), [
    'unsupported-entry',
    'sets.tar holds "a", a hard link to "b", which does not come before it, which smol cannot put into an image',
  ]);
});

test('what is no tar, or only half of one, is an error', async (t) => {
  await t.throwsAsync(index(Buffer.from('x'.repeat(5000))), { message: /Invalid tar header/ });
  const tar = await tarOf([{ name: 'f', content: 'y'.repeat(5000) }]);
  await t.throwsAsync(index(tar.subarray(0, 3000)), { message: /Unexpected end of data/ });
});
