import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { PARTITION_START } from '../../formats/gpt.ts';
import { sha256 } from '../../host/files.ts';
import { readFfs } from '../rig/ffs.ts';
import { Sample, TIME } from '../rig/sample.ts';

const MIB = 1024 ** 2;

for (const version of [1, 2] as const) {
  test(`what makefs(8) makes, the reader of these tests finds sound: FFS ${version}`, (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-makefs-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const tree = path.join(folder, 'tree');
    mkdirSync(path.join(tree, 'many'), { recursive: true });
    for (let n = 0; n < 200; n++) writeFileSync(path.join(tree, 'many', `f${n}`), Buffer.alloc(n * 53, `${n}`));
    writeFileSync(path.join(tree, 'big'), Buffer.alloc(3_000_000, 'big'));
    symlinkSync('many/f1', path.join(tree, 'short'));
    symlinkSync('x'.repeat(200), path.join(tree, 'long'));
    linkSync(path.join(tree, 'big'), path.join(tree, 'many', 'hard'));
    const image = path.join(folder, 'image');
    execFileSync('/usr/sbin/makefs', ['-t', 'ffs', '-s', '32m', '-o', `version=${version}`, image, tree], {
      stdio: 'pipe',
    });
    const found = readFfs(image, 0);
    t.is(found.version, version);
    t.deepEqual(found.complaints, []);
    t.is(found.entries.size, 205);
    t.is(found.entries.get('many/hard')!.sha256, sha256(Buffer.alloc(3_000_000, 'big')));
    t.is(found.entries.get('long')!.target, 'x'.repeat(200));
  });

  test(`The Sleuth Kit reads what smol writes: FFS ${version}`, async (t) => {
    const sample = new Sample()
      .file('etc/rc', Buffer.from('#!/bin/sh\n'), { mode: 0o755 })
      .file('a/b/c/deep', Buffer.alloc(5000, 'deep'))
      .file('large', Buffer.alloc(30 * MIB, 'large '))
      .add({ path: 'link', type: 'symlink', target: 'etc/rc', mode: 0o755, uid: 0, gid: 0, mtime: TIME });
    const image = await sample.image(t, version === 1 ? 'ffs1' : 'ffs', 64 * MIB);
    const at = ['-f', 'ufs', '-o', String(PARTITION_START / 512)];
    const names = execFileSync('fls', [...at, '-r', '-p', image], { encoding: 'utf8' });
    const found = new Map(
      [...names.matchAll(/^(\S+) (\d+):\t(.*)$/gm)].map(([, kind, inode, name]) => [name!, { kind, inode: inode! }]),
    );
    found.delete('$OrphanFiles');
    t.deepEqual([...found.keys()].sort(), ['a', 'a/b', 'a/b/c', 'a/b/c/deep', 'etc', 'etc/rc', 'large', 'link']);
    for (const entry of sample.entries) {
      if (entry.type !== 'file') continue;
      const content = execFileSync('icat', [...at, image, found.get(entry.path)!.inode], { maxBuffer: 64 * MIB });
      t.is(sha256(content), entry.content.digest, entry.path);
    }
  });
}
