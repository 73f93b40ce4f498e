import test from 'ava';
import fc from 'fast-check';
import { ext2 } from '../../formats/ext2/write.ts';
import { ffs } from '../../formats/ffs/write.ts';
import { type FileSystem, smallestSize } from '../../formats/filesystem.ts';
import { PARTITION_START } from '../../formats/gpt.ts';
import { withParents } from '../../formats/tree.ts';
import { sha256 } from '../../host/files.ts';
import type { Entry } from '../../model/artifact.ts';
import { checkImage, type FoundEntry, readImage } from '../rig/debugfs.ts';
import { readFfs } from '../rig/ffs.ts';
import { Sample, TIME } from '../rig/sample.ts';

/** A file system, and who reads its images: a checker, which says nothing if all is well, and a reader. */
interface Subject {
  readonly name: string;
  readonly fileSystem: FileSystem;
  check(image: string): string;
  read(image: string): Map<string, FoundEntry>;
}

const ffsSubject = (version: 1 | 2): Subject => ({
  name: `FFS ${version}`,
  fileSystem: ffs(version),
  check: (image) => readFfs(image, PARTITION_START).complaints.join('\n'),
  read: (image) => readFfs(image, PARTITION_START).entries,
});

const SUBJECTS: readonly Subject[] = [
  { name: 'ext2', fileSystem: ext2, check: checkImage, read: readImage },
  ffsSubject(1),
  ffsSubject(2),
];

/** What should be read back. */
function expected(entries: readonly Entry[]): Record<string, Partial<FoundEntry>> {
  return Object.fromEntries(
    withParents(entries)
      .filter((entry) => entry.path !== '')
      .map((entry) => {
        const { mode, uid, gid } = entry;
        if (entry.type === 'file')
          return [entry.path, { type: 'file', mode, uid, gid, size: entry.content.size, sha256: entry.content.digest }];
        if (entry.type === 'symlink') return [entry.path, { type: 'symlink', mode, uid, gid, target: entry.target }];
        return [entry.path, { type: entry.type === 'directory' ? 'directory' : 'other', mode, uid, gid }];
      }),
  );
}

function found({ read }: Subject, image: string): Record<string, Partial<FoundEntry>> {
  return Object.fromEntries(
    [...read(image)].map(([at, { type, mode, uid, gid, size, sha256: digest, target }]) => {
      const attributes = { type, mode, uid, gid };
      if (type === 'file') return [at, { ...attributes, size, sha256: digest }];
      return [at, type === 'symlink' ? { ...attributes, target } : attributes];
    }),
  );
}

function samePaths(entries: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
}

for (const subject of SUBJECTS) {
  test(`${subject.name}: modes, owners, links, devices and long targets come back as they went in`, async (t) => {
    const sample = new Sample()
      .file('etc/rc', Buffer.from('#!/bin/sh\n'), { mode: 0o755 })
      .file('bin/su', Buffer.alloc(10_000, 7), { mode: 0o4555, uid: 0, gid: 70_000 })
      .file('empty', Buffer.alloc(0), { uid: 4_000_000 })
      .file('a [name] with spaces', Buffer.from('x'))
      .add({ path: 'tmp', type: 'directory', mode: 0o1777, uid: 0, gid: 0, mtime: TIME })
      .add({ path: 'short', type: 'symlink', target: 'etc/rc', mode: 0o755, uid: 0, gid: 0, mtime: TIME })
      .add({ path: 'sixty', type: 'symlink', target: 'x'.repeat(60), mode: 0o777, uid: 0, gid: 0, mtime: TIME })
      .add({ path: 'long', type: 'symlink', target: `/${'y'.repeat(1000)}`, mode: 0o777, uid: 0, gid: 0, mtime: TIME })
      .add({ path: 'dev/console', type: 'character', major: 0, minor: 0, mode: 0o600, uid: 0, gid: 0, mtime: TIME })
      .add({ path: 'dev/wd0a', type: 'block', major: 0, minor: 300, mode: 0o640, uid: 0, gid: 5, mtime: TIME })
      .add({ path: 'pipe', type: 'fifo', mode: 0o600, uid: 0, gid: 0, mtime: TIME });
    const image = await sample.image(t, subject.fileSystem, 12 * 1024 ** 2);
    t.is(subject.check(image), '');
    t.deepEqual(samePaths(found(subject, image)), samePaths(expected(sample.entries)));
  });

  for (const [name, size] of [
    ['1 KiB', 6 * 1024 ** 2],
    ['4 KiB', 64 * 1024 ** 2],
  ] as const) {
    test(`${subject.name}: files through every kind of indirect block, with blocks of ${name}`, async (t) => {
      const sample = new Sample();
      // Direct, single, double; with 1 KiB blocks 12 + 256 + 256² is out of reach of a small test's double only.
      for (const blocks of [1, 11, 12, 13, 12 + 256, 12 + 257, 3000]) {
        sample.file(`f${blocks}`, Buffer.alloc(blocks * 1024 - 5, `${blocks} `));
      }
      const image = await sample.image(t, subject.fileSystem, size);
      t.is(subject.check(image), '');
      t.deepEqual(found(subject, image), expected(sample.entries));
    });
  }

  test(`${subject.name}: a file that needs triple indirect blocks, over several groups`, async (t) => {
    const content = Buffer.alloc(70 * 1024 ** 2, 'triple ');
    const sample = new Sample().file('big', content).file('small', Buffer.from('after it'));
    // 1 KiB blocks only below 8 MiB, so the double one of 4 KiB blocks is what a real image gets to.
    const image = await sample.image(t, subject.fileSystem, 300 * 1024 ** 2);
    t.is(subject.check(image), '');
    t.is(subject.read(image).get('big')!.sha256, sha256(content));
  });

  test(`${subject.name}: thousands of names in a directory, and thousands of names of one file`, async (t) => {
    const sample = new Sample();
    for (let n = 0; n < 3000; n++) {
      sample.file(`many/${'n'.repeat(n % 200)}${n}`, Buffer.from(`${n}`));
      sample.file(`links/${n}`, Buffer.from('one'), { hard: true, blob: 'one' });
    }
    const image = await sample.image(t, subject.fileSystem, 64 * 1024 ** 2);
    t.is(subject.check(image), '');
    const back = subject.read(image);
    t.is(back.size, 6002);
    t.is(new Set([...back].filter(([at]) => at.startsWith('links/')).map(([, { inode }]) => inode)).size, 1);
  });

  test(`${subject.name}: a tree fits exactly into the smallest size, and not into less`, (t) => {
    for (const megabytes of [0, 1, 5, 60, 200]) {
      const sample = new Sample().file('f', Buffer.alloc(0));
      const entry = sample.entries[0] as Extract<Entry, { type: 'file' }>;
      const tree = withParents([{ ...entry, content: { ...entry.content, size: megabytes * 1024 ** 2 } }]);
      const size = smallestSize(subject.fileSystem, tree);
      t.truthy(subject.fileSystem(tree, size), `${megabytes} MiB fit into ${size}`);
      if (size > 1024 ** 2) t.is(subject.fileSystem(tree, size - 1024 ** 2), undefined);
    }
  });

  test(`${subject.name}: random trees come back, whatever the order in which they were made`, async (t) => {
    const name = fc.stringMatching(/^[a-zA-Z0-9 ._-]{1,20}$/).filter((each) => each !== '.' && each !== '..');
    const tree = fc.uniqueArray(
      fc.record({
        at: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
        size: fc.integer({ min: 0, max: 30_000 }),
        mode: fc.integer({ min: 0, max: 0o7777 }),
        uid: fc.integer({ min: 0, max: 100_000 }),
      }),
      { selector: ({ at }) => at, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(tree, async (rows) => {
        // A path that is also a directory of another is left out: no tree has that.
        const usable = rows.filter(({ at }) => !rows.some((other) => other.at.startsWith(`${at}/`)));
        const make = (order: typeof usable) => {
          const sample = new Sample();
          for (const { at, size, mode, uid } of order) sample.file(at, Buffer.alloc(size, at), { mode, uid });
          return sample;
        };
        const [one, other] = [make(usable), make([...usable].reverse())];
        const [image, again] = [
          await one.image(t, subject.fileSystem, 16 * 1024 ** 2),
          await other.image(t, subject.fileSystem, 16 * 1024 ** 2),
        ];
        t.is(subject.check(image), '');
        t.deepEqual(samePaths(found(subject, image)), samePaths(expected(one.entries)));
        const { readFileSync } = await import('node:fs');
        t.true(readFileSync(image).equals(readFileSync(again)));
      }),
      { numRuns: 15 },
    );
  });
}
