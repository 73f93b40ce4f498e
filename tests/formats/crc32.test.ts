import { crc32 as ofZlib } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { crc32 } from '../../formats/crc32.ts';

test('a CRC-32 is that of zlib, of whatever length, in whatever pieces', (t) => {
  t.is(crc32(Buffer.from('123456789')), 0xcbf43926);
  t.is(crc32(new Uint8Array()), 0);
  const bytes = Buffer.alloc(600_000, 'all that a set has in it ');
  const place = fc.nat(bytes.length);
  fc.assert(
    fc.property(place, place, place, (a, b, c) => {
      const [from, at, to] = [a, b, c].sort((x, y) => x - y) as [number, number, number];
      const [first, second] = [bytes.subarray(from, at), bytes.subarray(at, to)];
      t.is(crc32(second, crc32(first)), ofZlib(bytes.subarray(from, to)));
    }),
  );
});
