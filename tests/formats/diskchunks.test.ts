import { gunzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { type Chunk, compressDisk, expandChunk, parseChunks } from '../../formats/diskchunks.ts';
import { sha256 } from '../../host/files.ts';

async function packed(disk: Buffer): Promise<{ members: Buffer[]; chunks: Chunk[] }> {
  const [members, chunks]: [Buffer[], Chunk[]] = [[], []];
  for await (const { member, chunk } of compressDisk(disk.length, (at, length) => disk.subarray(at, at + length))) {
    members.push(member);
    chunks.push(chunk);
  }
  return { members, chunks };
}

/** Bytes that do not compress, the same each time. */
function noise(size: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let n = 0; n * 32 < size; n++) parts.push(Buffer.from(sha256(`${seed} ${n}`), 'hex'));
  return Buffer.concat(parts).subarray(0, size);
}

test('members make the disk again, one by one and together', async (t) => {
  const part = fc.record({ zeros: fc.boolean(), blocks: fc.integer({ min: 1, max: 300 }), seed: fc.string() });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), async (parts) => {
      const disk = Buffer.concat(
        parts.map(({ zeros, blocks, seed }) => (zeros ? Buffer.alloc(blocks * 1024) : noise(blocks * 1024, seed))),
      );
      const { members, chunks } = await packed(disk);
      t.true(gunzipSync(Buffer.concat(members)).equals(disk));
      t.not(parseChunks(JSON.stringify({ version: 1, size: disk.length, chunks })), undefined);
      let at = 0;
      for (const [n, chunk] of chunks.entries()) {
        const [length, size, digest] = chunk;
        t.is(length, members[n]!.length);
        const bytes = disk.subarray(at, at + size);
        if (digest === undefined) t.true(bytes.every((byte) => byte === 0));
        else t.true((await expandChunk(members[n]!, chunk))!.equals(bytes));
        at += size;
      }
      t.is(at, disk.length);
    }),
    { numRuns: 40 },
  );
});

test('what moved by a block is the same chunks', async (t) => {
  const body = noise(4 * 1024 * 1024, 'x');
  const before = await packed(Buffer.concat([noise(64 * 1024, 'a'), body]));
  const after = await packed(Buffer.concat([noise(65 * 1024, 'b'), body]));
  const known = new Set(before.chunks.map(([, , digest]) => digest));
  const news = after.chunks.filter(([, , digest]) => !known.has(digest));
  t.true(news.length <= 4, `${news.length} of ${after.chunks.length}`);
});

test('an index is not taken on trust, nor is a chunk', async (t) => {
  const digest = 'a'.repeat(64);
  const good = { version: 1, size: 100, chunks: [[50, 100, digest]] };
  t.not(parseChunks(JSON.stringify(good)), undefined);
  for (const bad of [
    { ...good, version: 2 },
    { ...good, size: 200 },
    { ...good, chunks: [[50, -100, digest]] },
    { ...good, chunks: [[50, 2 ** 40, digest]], size: 2 ** 40 },
    { ...good, chunks: [[2 ** 30, 100, digest]] },
    { ...good, chunks: [[50, 100, '../x']] },
    { ...good, chunks: 'no' },
  ])
    t.is(parseChunks(JSON.stringify(bad)), undefined, JSON.stringify(bad));
  t.is(parseChunks('['), undefined);
  const bytes = noise(20 * 1024, 'y');
  const [member, [length, size, right]] = [(await packed(bytes)).members[0]!, (await packed(bytes)).chunks[0]!];
  t.is(await expandChunk(member, [length, size, digest]), undefined);
  t.is(await expandChunk(member, [length, size - 1, right]), undefined, 'no more than it says is unpacked');
  t.is(await expandChunk(Buffer.from('no gzip'), [length, size, right]), undefined);
});
