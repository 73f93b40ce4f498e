import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { type FileSystemName, layOutDisk, smallestDisk } from '../../formats/disk.ts';
import { gptComplaints, PARTITION_START } from '../../formats/gpt.ts';
import { patchOf } from '../../formats/patch.ts';
import { withParents } from '../../formats/tree.ts';
import { diffTrees } from '../../formats/treediff.ts';
import { entriesOf, indexOf, parseIndex } from '../../formats/treeindex.ts';
import { Volume } from '../../formats/volume.ts';
import { BrokenVolume } from '../../formats/volumeform.ts';
import { sha256 } from '../../host/files.ts';
import { ImageFile } from '../../host/imagefile.ts';
import type { Entry, FileEntry, Tree } from '../../model/artifact.ts';
import { checkImage, type FoundEntry, readImage } from '../rig/debugfs.ts';
import { readFfs } from '../rig/ffs.ts';
import { into, Sample, TIME } from '../rig/sample.ts';

/** A file system, and who reads its images: a checker, which says nothing if all is well, and a reader. */
interface Subject {
  readonly name: string;
  readonly fs: FileSystemName;
  check(image: string): string;
  read(image: string): Map<string, FoundEntry>;
}

const ffsSubject = (version: 1 | 2): Subject => ({
  name: `FFS ${version}`,
  fs: version === 1 ? 'ffs1' : 'ffs',
  check: (image) => readFfs(image, PARTITION_START).complaints.join('\n'),
  read: (image) => readFfs(image, PARTITION_START).entries,
});

const SUBJECTS: readonly Subject[] = [
  { name: 'ext2', fs: 'ext2', check: checkImage, read: readImage },
  ffsSubject(1),
  ffsSubject(2),
];

/** What smol's own reader finds. */
function ownReading(image: string): { tree: Tree; complaints: string[] } {
  using source = new ImageFile(image);
  const volume = Volume.open(source);
  return { tree: volume.tree(), complaints: [...gptComplaints(source), ...volume.complaints()] };
}

/** Trees are the same, wherever the contents of their files lie. */
function assertSameTree(t: ExecutionContext, found: { tree: Tree; complaints: string[] }, wanted: readonly Entry[]) {
  t.deepEqual(found.complaints, []);
  t.deepEqual(diffTrees(withParents(wanted), found.tree), []);
  // A directory without a time gets the newest of all.
  const time = ({ path, mtime }: Entry) => `${path} ${mtime ?? (wanted.length > 0 ? TIME : 0)}`;
  t.deepEqual(found.tree.map(time), withParents(wanted).map(time));
}

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

const name = fc.stringMatching(/^[a-zA-Z0-9 ._-]{1,20}$/).filter((each) => each !== '.' && each !== '..');
const someRows = fc
  .uniqueArray(
    fc.record({
      at: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      size: fc.integer({ min: 0, max: 30_000 }),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 100_000 }),
    }),
    { selector: ({ at }) => at, maxLength: 40 },
  )
  .map(withoutConflicts);

for (const subject of SUBJECTS) {
  test.serial(
    `${subject.name}: modes, owners, links, devices and long targets come back as they went in`,
    async (t) => {
      const sample = new Sample()
        .file('etc/rc', Buffer.from('#!/bin/sh\n'), { mode: 0o755 })
        .file('bin/su', Buffer.alloc(10_000, 7), { mode: 0o4555, uid: 0, gid: 70_000 })
        .file('empty', Buffer.alloc(0), { uid: 4_000_000 })
        .file('a [name] with spaces', Buffer.from('x'))
        .add({ path: 'tmp', type: 'directory', mode: 0o1777, uid: 0, gid: 0, mtime: TIME })
        .add({ path: 'short', type: 'symlink', target: 'etc/rc', mode: 0o755, uid: 0, gid: 0, mtime: TIME })
        .add({ path: 'sixty', type: 'symlink', target: 'x'.repeat(60), mode: 0o777, uid: 0, gid: 0, mtime: TIME })
        .add({
          path: 'long',
          type: 'symlink',
          target: `/${'y'.repeat(1000)}`,
          mode: 0o777,
          uid: 0,
          gid: 0,
          mtime: TIME,
        })
        .add({ path: 'dev/console', type: 'character', major: 0, minor: 0, mode: 0o600, uid: 0, gid: 0, mtime: TIME })
        .add({ path: 'dev/wd0a', type: 'block', major: 0, minor: 300, mode: 0o640, uid: 0, gid: 5, mtime: TIME })
        .add({ path: 'pipe', type: 'fifo', mode: 0o600, uid: 0, gid: 0, mtime: TIME });
      const image = await sample.image(t, subject.fs, 12 * 1024 ** 2);
      t.is(subject.check(image), '');
      t.deepEqual(samePaths(found(subject, image)), samePaths(expected(sample.entries)));
      assertSameTree(t, ownReading(image), sample.entries);
    },
  );

  for (const [name, size] of [
    ['1 KiB', 6 * 1024 ** 2],
    ['4 KiB', 64 * 1024 ** 2],
  ] as const) {
    test.serial(`${subject.name}: files through every kind of indirect block, with blocks of ${name}`, async (t) => {
      const sample = new Sample();
      // Direct, single, double; with 1 KiB blocks 12 + 256 + 256² is out of reach of a small test's double only.
      for (const blocks of [1, 11, 12, 13, 12 + 256, 12 + 257, 3000]) {
        sample.file(`f${blocks}`, Buffer.alloc(blocks * 1024 - 5, `${blocks} `));
      }
      const image = await sample.image(t, subject.fs, size);
      t.is(subject.check(image), '');
      t.deepEqual(found(subject, image), expected(sample.entries));
      assertSameTree(t, ownReading(image), sample.entries);
    });
  }

  test.serial(`${subject.name}: a file that needs triple indirect blocks, over several groups`, async (t) => {
    const content = Buffer.alloc(70 * 1024 ** 2, 'triple ');
    const sample = new Sample().file('big', content).file('small', Buffer.from('after it'));
    // 1 KiB blocks only below 8 MiB, so the double one of 4 KiB blocks is what a real image gets to.
    const image = await sample.image(t, subject.fs, 300 * 1024 ** 2);
    t.is(subject.check(image), '');
    t.is(subject.read(image).get('big')!.sha256, sha256(content));
    assertSameTree(t, ownReading(image), sample.entries);
  });

  test.serial(`${subject.name}: thousands of names in a directory, and thousands of names of one file`, async (t) => {
    const sample = new Sample();
    for (let n = 0; n < 3000; n++) {
      sample.file(`many/${'n'.repeat(n % 200)}${n}`, Buffer.from(`${n}`));
      sample.file(`links/${n}`, Buffer.from('one'), { hard: true, blob: 'one' });
    }
    const image = await sample.image(t, subject.fs, 64 * 1024 ** 2);
    t.is(subject.check(image), '');
    const back = subject.read(image);
    t.is(back.size, 6002);
    t.is(new Set([...back].filter(([at]) => at.startsWith('links/')).map(([, { inode }]) => inode)).size, 1);
    assertSameTree(t, ownReading(image), sample.entries);
  });

  test.serial(`${subject.name}: up to 100,000 files`, async (t) => {
    const sample = new Sample();
    // The older version differs in nothing that more files would show.
    const count = subject.fs === 'ffs1' ? 10_000 : 100_000;
    for (let n = 0; n < count; n++) {
      sample.file(`d${n % 317}/e${n % 7}/file ${n}`, Buffer.from(n % 3 === 0 ? '' : `content of ${n}`), { uid: n });
    }
    const image = await sample.image(t, subject.fs, 1024 * 1024 ** 2);
    t.is(subject.fs === 'ext2' ? checkImage(image) : subject.check(image), '');
    const { tree, complaints } = ownReading(image);
    t.deepEqual(complaints, []);
    t.deepEqual(diffTrees(withParents(sample.entries), tree), []);
  });

  test.serial(`${subject.name}: file systems of all sizes are sound`, async (t) => {
    // Around the sizes at which blocks become larger, with last groups long and short, and up to where groups are many.
    for (const mib of [2, 3, 4, 7, 8, 9, 19, 20, 21, 22, 23, 33, 129, 513, 1001, 1003, 2050, 8192]) {
      const sample = new Sample().file('etc/rc', Buffer.from('#!/bin/sh\n')).file('f', Buffer.alloc(100_000, 'f'));
      const image = await sample.image(t, subject.fs, mib * 1024 ** 2);
      // sgdisk would have the partition of a tiny disk end elsewhere; it is clean all the same.
      t.regex(subject.check(image) || 'No problems found', /^$|No problems found/, `${mib} MiB`);
      t.deepEqual(diffTrees(withParents(sample.entries), ownReading(image).tree), [], `${mib} MiB`);
      rmSync(image);
    }
  });

  test.serial(`${subject.name}: a tree fits exactly into the smallest size, and not into less`, (t) => {
    for (const megabytes of [0, 1, 5, 60, 200]) {
      const sample = new Sample().file('f', Buffer.alloc(0));
      const entry = sample.entries[0] as Extract<Entry, { type: 'file' }>;
      const tree = indexOf(withParents([{ ...entry, content: { ...entry.content, size: megabytes * 1024 ** 2 } }]));
      const disk = (size: number) => layOutDisk(tree, { fs: subject.fs, size, partition: 'x' }, '');
      const size = smallestDisk(tree, subject.fs);
      t.truthy(disk(size), `${megabytes} MiB fit into ${size}`);
      if (size > 2 * 1024 ** 2) t.is(disk(size - 1024 ** 2), undefined);
      t.true(disk(smallestDisk(tree, subject.fs, 64 * 1024 ** 2))!.layout.free >= 64 * 1024 ** 2);
    }
  });

  test.serial(`${subject.name}: random trees come back, whatever the order in which they were made`, async (t) => {
    await fc.assert(
      fc.asyncProperty(someRows, async (rows) => {
        const [one, other] = [sampleOf(rows), sampleOf([...rows].reverse())];
        const [image, again] = [
          await one.image(t, subject.fs, 16 * 1024 ** 2),
          await other.image(t, subject.fs, 16 * 1024 ** 2),
        ];
        t.is(subject.check(image), '');
        t.deepEqual(samePaths(found(subject, image)), samePaths(expected(one.entries)));
        assertSameTree(t, ownReading(image), one.entries);
        t.true(readFileSync(image).equals(readFileSync(again)));
        // However what is written is joined.
        t.true(readFileSync(image).equals(one.bytes(one.map(subject.fs, 16 * 1024 ** 2))));
      }),
      { numRuns: 15 },
    );
  });

  test.serial(`${subject.name}: a patch of one image makes exactly the other`, async (t) => {
    const changes = fc.record({
      before: someRows,
      added: someRows,
      // Which rows of the first tree are gone in the second, and which have another size.
      removed: fc.array(fc.nat(40)),
      grown: fc.array(fc.record({ row: fc.nat(40), size: fc.integer({ min: 0, max: 200_000 }) })),
      // Which have another mode, or a few bytes more, which seldom needs another block.
      touched: fc.array(fc.record({ row: fc.nat(40), mode: fc.integer({ min: 0, max: 0o7777 }), more: fc.nat(9) })),
    });
    fc.assert(
      fc.property(changes, ({ before, added, removed, grown, touched }) => {
        const kept = before
          .map((row, n) => ({ ...row, size: grown.find((each) => each.row === n)?.size ?? row.size }))
          .map((row, n) => {
            const { mode = row.mode, more = 0 } = touched.find((each) => each.row === n) ?? {};
            return { ...row, mode, size: row.size + more };
          })
          .filter((_, n) => !removed.includes(n));
        const after = withoutConflicts([...kept, ...added.filter(({ at }) => kept.every((row) => row.at !== at))]);
        const [one, other] = [sampleOf(before), sampleOf(after)];
        const [from, to] = [one.map(subject.fs, 24 * 1024 ** 2, 'one'), other.map(subject.fs, 24 * 1024 ** 2, 'other')];
        const image = one.bytes(from);
        const patch = patchOf(from, to)!;
        for (const [first, end] of patch.blank) image.fill(0, first, end);
        other.copy(patch.changed, into(image));
        t.true(image.equals(other.bytes(to)));
        const tree = withParents(other.entries);
        t.deepEqual(entriesOf(parseIndex(indexOf(tree).bytes)), tree);
      }),
      { numRuns: 40 },
    );
  });
}

for (const [name, make] of [
  ['mke2fs -t ext2', (tree: string, image: string) => mke2fs(tree, image, 'ext2', 4096)],
  ['mke2fs -t ext3, blocks of 1 KiB', (tree: string, image: string) => mke2fs(tree, image, 'ext3', 1024)],
  ['makefs, FFS 1', (tree: string, image: string) => makefs(tree, image, 1)],
  ['makefs, FFS 2', (tree: string, image: string) => makefs(tree, image, 2)],
] as const) {
  test.serial(`smol's reader reads what others make: ${name}`, (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-others-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const tree = path.join(folder, 'tree');
    mkdirSync(path.join(tree, 'many'), { recursive: true });
    for (let n = 0; n < 200; n++) writeFileSync(path.join(tree, 'many', `f${n}`), Buffer.alloc(n * 53, `${n}`));
    const big = Buffer.alloc(3_000_000, 'big');
    writeFileSync(path.join(tree, 'big'), big);
    writeFileSync(path.join(tree, 'sparse'), 'x');
    truncateSync(path.join(tree, 'sparse'), 5_000_000);
    symlinkSync('many/f1', path.join(tree, 'short'));
    symlinkSync('x'.repeat(200), path.join(tree, 'long'));
    linkSync(path.join(tree, 'big'), path.join(tree, 'many', 'hard'));
    const image = path.join(folder, 'image');
    make(tree, image);
    using source = new ImageFile(image);
    const volume = Volume.open(source);
    t.deepEqual(volume.complaints(), []);
    const found = new Map(volume.tree().map((entry) => [entry.path, entry]));
    found.delete('lost+found');
    t.is(found.size, 207);
    const digest = (at: string) => (found.get(at) as FileEntry).content.digest;
    t.is(digest('many/hard'), sha256(big));
    t.is(digest('many/f150'), sha256(Buffer.alloc(150 * 53, '150')));
    t.is(digest('sparse'), sha256(readFileSync(path.join(tree, 'sparse'))));
    t.like(found.get('long'), { target: 'x'.repeat(200) });
    t.like(found.get('short'), { target: 'many/f1' });
  });
}

test.serial('an image with any bytes wrong is read, or said to be broken; never more', async (t) => {
  for (const { fs } of SUBJECTS) {
    const sample = new Sample().file('a/b/c', Buffer.alloc(100_000, 'c')).file('a/d', Buffer.from('d'));
    sample.add({ path: 'l', type: 'symlink', target: 'x'.repeat(500), mode: 0o777, uid: 0, gid: 0, mtime: TIME });
    const image = readFileSync(await sample.image(t, fs, 4 * 1024 ** 2));
    const flips = fc.array(fc.record({ at: fc.nat(600_000), byte: fc.nat(255) }), { minLength: 1, maxLength: 30 });
    const isReadOrBroken = fc.property(flips, (changes) => {
      const bytes = Buffer.from(image);
      for (const { at, byte } of changes) bytes[1024 ** 2 + at] = byte;
      const read = (position: number, length: number) => bytes.subarray(position, position + length);
      try {
        const volume = Volume.open({ size: bytes.length, read });
        volume.complaints();
        for (const entry of volume.entries())
          if (entry.type === 'file' && entry.size < 2 ** 24) [...volume.pieces(entry)];
      } catch (error) {
        if (!(error instanceof BrokenVolume)) throw error;
      }
    });
    t.notThrows(() => fc.assert(isReadOrBroken, { numRuns: 300 }), fs);
  }
});

function mke2fs(tree: string, image: string, type: string, block: number): void {
  execFileSync('/usr/sbin/mke2fs', ['-q', '-t', type, '-b', String(block), '-d', tree, image, '32m'], {
    stdio: 'pipe',
  });
}

function makefs(tree: string, image: string, version: number): void {
  execFileSync('/usr/sbin/makefs', ['-t', 'ffs', '-s', '32m', '-o', `version=${version}`, image, tree], {
    stdio: 'pipe',
  });
}

interface Row {
  readonly at: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
}

/** No tree has a file that is also the directory of another. */
function withoutConflicts(rows: readonly Row[]): Row[] {
  return rows.filter(({ at }) => !rows.some((other) => other.at.startsWith(`${at}/`)));
}

function sampleOf(rows: readonly Row[]): Sample {
  const sample = new Sample();
  for (const { at, size, mode, uid } of rows) sample.file(at, Buffer.alloc(size, at), { mode, uid });
  return sample;
}
