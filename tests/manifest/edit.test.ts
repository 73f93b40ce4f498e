import test from 'ava';
import { lineDiff } from '../../formats/linediff.ts';
import { edited } from '../../manifest/edit.ts';
import { Problems } from '../../model/problem.ts';

const TEXT = `# yaml-language-server: $schema=../../schema/service.schema.json
description: "Our pages: all of them"   # for people

sets: [base, etc]
run:
  # as much as nginx needs
  memory: 128M
  ports: ["8080:80"]   # and no other
  vars: { STAGE: test }

overrides:
  i386: { size: 64M }
`;

const edit = (values: Parameters<typeof edited>[2], text = TEXT) =>
  edited({ file: 'services/web/service.yaml', text, schema: 'service' }, 'run', values);

const changes = (after: string, before = TEXT) =>
  lineDiff(before, after)
    .filter(({ kind }) => kind !== 'same')
    .map(({ kind, text }) => `${kind === 'added' ? '+' : '-'}${text}`);

test('keys are changed, added and removed; every other key and comment stays as it is written', (t) => {
  t.deepEqual(changes(edit({ memory: '256M' })), ['-  memory: 128M', '+  memory: 256M']);
  t.deepEqual(changes(edit({ memory: '128M', ports: ['8080:80'] })), []);
  t.deepEqual(changes(edit({ cpus: 2, ports: undefined })), ['-  ports: ["8080:80"]   # and no other', '+  cpus: 2']);
  t.deepEqual(changes(edit({ ports: ['8081:80', '2222:22'] })), [
    '-  ports: ["8080:80"]   # and no other',
    '+  ports: ["8081:80", "2222:22"]   # and no other',
  ]);
  const bare = 'description: x\nsets: [base]\n';
  t.deepEqual(changes(edit({ memory: '64M' }, bare), bare), ['+run:', '+  memory: 64M']);
  const flow = 'description: x\nsets: [base]\nrun: {memory: 64M, cpus: 2}\n';
  const one = (values: Parameters<typeof edited>[2]) => edit(values, flow).split('\n')[2];
  t.is(one({ ports: ['1:2'] }), 'run: {memory: 64M, cpus: 2, ports: ["1:2"]}');
  t.is(one({ memory: undefined }), 'run: {cpus: 2}');
  t.is(one({ cpus: undefined }), 'run: {memory: 64M}');
  t.is(one({ memory: undefined, cpus: undefined }), '', 'nothing is left of it');
  const block =
    'description: x\nsets: [base]\nrun:\n    ports:\n        - "1:2" # the first\n        - "3:4"\n# the end\n';
  t.is(edit({ cpus: 3 }, block), block.replace('# the end', '    cpus: 3\n# the end'));
  t.is(edit({ ports: undefined }, block), 'description: x\nsets: [base]\n# the end\n');
});

test('what would be wrong then is told with its place, and nothing comes of it', (t) => {
  const error = t.throws(() => edit({ memory: 'much' }), { instanceOf: Problems })!;
  t.like(error.list[0]!.parts.place, { file: 'services/web/service.yaml', line: 7 });
});

test('lines of two texts', (t) => {
  const told = (before: string, after: string) => lineDiff(before, after).map(({ kind, text }) => `${kind[0]}${text}`);
  t.deepEqual(told('a\nb\nc\n', 'a\nx\nc\nd\n'), ['sa', 'rb', 'ax', 'sc', 'ad']);
  t.deepEqual(told('', 'a\n'), ['r', 'aa']);
});
