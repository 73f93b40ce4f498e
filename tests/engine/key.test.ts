import test from 'ava';
import fc from 'fast-check';
import { canonical, keyOf } from '../../engine/key.ts';
import type { Json } from '../../model/json.ts';

test('the order in which keys were written does not matter, that of lists does', (t) => {
  t.is(canonical({ b: 1, a: [{ d: null, c: 'ü' }] }), '{"a":[{"c":"ü","d":null}],"b":1}');
  t.is(canonical({ Z: 1, a: 2, é: 3, B: undefined }), '{"Z":1,"a":2,"é":3}');
  t.not(keyOf({ a: [1, 2] }), keyOf({ a: [2, 1] }));
});

test('no two different lists of parts have the same key', (t) => {
  t.not(keyOf({ ab: 'c' }), keyOf({ a: 'bc' }));
  t.not(keyOf({ a: '1\nb 1\n1' }), keyOf({ a: '1', b: 1 }));
});

test('canonical JSON says the same as JSON', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) =>
      t.deepEqual(JSON.parse(canonical(value as Json)), JSON.parse(JSON.stringify(value))),
    ),
  );
});
