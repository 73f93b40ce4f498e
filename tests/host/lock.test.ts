import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { isAlive, withLock } from '../../host/lock.ts';

test('only one works at a time, and the lock of a dead process holds nobody up', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-lock-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'lock');
  const child = spawn('true');
  await new Promise((resolve) => child.once('exit', resolve));
  writeFileSync(file, String(child.pid));
  t.false(isAlive(child.pid!));
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    t.is(readFileSync(file, 'utf8'), String(process.pid));
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
  };
  await Promise.all(Array.from({ length: 20 }, () => withLock(file, work)));
  t.is(most, 1);
  t.false(existsSync(file));
});

test('who waits for a lock can be interrupted, and work that fails gives it back', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-lock-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'lock');
  writeFileSync(file, String(process.pid));
  await t.throwsAsync(
    withLock(file, () => t.fail(), AbortSignal.timeout(50)),
    { name: 'AbortError' },
  );
  rmSync(file);
  await t.throwsAsync(
    withLock(file, () => {
      throw new Error('no');
    }),
    { message: 'no' },
  );
  t.false(existsSync(file));
});
