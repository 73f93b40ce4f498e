import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { get } from 'cacache';
import { Store } from '../../cache/store.ts';
import { crc32 } from '../../formats/crc32.ts';
import { sha256 } from '../../host/files.ts';
import type { FileEntry } from '../../model/artifact.ts';
import { CorruptBlob } from '../../model/step.ts';

function open(t: ExecutionContext): { store: Store; folder: string; file: (digest: string) => string } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = (digest: string) =>
    path.join(folder, 'blobs', 'content-v2', 'sha256', digest.slice(0, 2), digest.slice(2, 4), digest.slice(4));
  return { store: new Store(folder), folder, file };
}

async function* chunks(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

test('bytes come back by their digest, and lie where cacache itself finds them', async (t) => {
  const { store, folder } = open(t);
  const blob = await store.putChunks(chunks('some ', 'bytes'));
  t.deepEqual(blob, { kind: 'blob', digest: sha256('some bytes'), size: 10 });
  t.is((await store.readBytes(blob.digest)).toString(), 'some bytes');
  const found = async (digest: string) => {
    const integrity = `sha256-${Buffer.from(digest, 'hex').toString('base64')}`;
    return (await get.byDigest(path.join(folder, 'blobs'), integrity)).toString();
  };
  t.is(await found(blob.digest), 'some bytes');
  t.is(await found((await store.putBytes(Buffer.from('others'))).digest), 'others');
});

test('nothing at all is a blob too', async (t) => {
  const { store } = open(t);
  t.is((await store.putChunks(chunks())).digest, sha256(''));
  t.is((await store.putBytes(new Uint8Array())).digest, sha256(''));
  t.is((await store.readBytes(sha256(''))).length, 0);
});

test('what a check throws is thrown, and nothing is stored', async (t) => {
  const { store } = open(t);
  await t.throwsAsync(
    store.putChunks(chunks('one', 'two'), {
      tap: async (chunk) => {
        if (chunk.toString() === 'two') throw new Error('no two');
      },
    }),
    { message: 'no two' },
  );
  t.false(store.has(sha256('one')));
  t.false(store.has(sha256('onetwo')));
  const accept = (digest: string) => {
    t.is(digest, sha256('onetwo'));
    throw new Error('something else was meant');
  };
  await t.throwsAsync(store.putChunks(chunks('one', 'two'), { accept }), { message: 'something else was meant' });
  t.false(store.has(sha256('onetwo')));
});

test('damage of every kind is thrown as such, and the bad blob is gone', async (t) => {
  const { store, file } = open(t);
  const content = 'x'.repeat(100_000);
  const damages: ((name: string) => void)[] = [
    (name) => writeFileSync(name, `y${content.slice(1)}`),
    (name) => truncateSync(name, 5),
    (name) => rmSync(name),
  ];
  for (const damage of damages) {
    for (const read of [(digest: string) => store.readBytes(digest), (digest: string) => store.verifiedFile(digest)]) {
      const { digest } = await store.putBytes(Buffer.from(content));
      await store.verifiedFile(digest);
      damage(file(digest));
      await t.throwsAsync(read(digest), { instanceOf: CorruptBlob });
      t.false(store.has(digest));
    }
  }
});

for (const sum of ['SHA-256', 'CRC-32']) {
  test(`files of a tree are read piece by piece, and each is checked by its ${sum}`, async (t) => {
    const { store, file } = open(t);
    const large = Buffer.alloc(9 * 1024 ** 2, 'large ');
    const [first, last] = [Buffer.from('first'), Buffer.from('last')];
    const whole = Buffer.concat([first, large, last]);
    const { digest: blob } = await store.putBytes(whole);
    let offset = 0;
    const entries = [first, large, last].map((content, n): FileEntry => {
      const crc = sum === 'CRC-32' && { crc: crc32(content) };
      const slice = { blob, offset, size: content.length, digest: sha256(content), ...crc };
      offset += content.length;
      return { path: `f${n}`, type: 'file', mode: 0, uid: 0, gid: 0, content: slice };
    });
    const read = async () => {
      const found = new Map<string, Buffer[]>();
      for await (const { entry, piece } of store.readEntries([...entries].reverse(), new AbortController().signal)) {
        found.set(entry.path, [...(found.get(entry.path) ?? []), Buffer.from(piece)]);
      }
      return [...found].map(([name, pieces]) => [name, sha256(...pieces)]);
    };
    t.deepEqual(await read(), entries.map(({ path: name, content }) => [name, content.digest]).reverse());

    for (const [start, within] of [
      [first.length, 5_000_000],
      [first.length + large.length, 1],
    ] as const) {
      const bytes = readFileSync(file(blob));
      bytes[start + within]! ^= 1;
      writeFileSync(file(blob), bytes);
      await t.throwsAsync(read(), { instanceOf: CorruptBlob, message: new RegExp(`is damaged from byte ${start} on`) });
      t.throws(() => statSync(file(blob)), { code: 'ENOENT' });
      await store.putBytes(whole);
    }
  });
}
