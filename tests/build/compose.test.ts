import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { Store } from '../../cache/store.ts';
import { byPath, parentOf } from '../../formats/tree.ts';
import type { Entry, Tree } from '../../model/artifact.ts';
import type { StepContext } from '../../model/step.ts';
import { compose } from '../../tasks/compose.ts';

/** Names of which one is the beginning of another, before and after a slash in the order of characters. */
const someName = fc.constantFrom('a', 'a-', 'a.b', 'b', 'é', '\u{1f41f}', '\uffee');
const somePath = fc.array(someName, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const someEntry = fc
  .record({
    path: fc.oneof({ weight: 20, arbitrary: somePath }, { weight: 1, arbitrary: fc.constant('') }),
    type: fc.constantFrom('directory', 'directory', 'file', 'hard', 'symlink', 'fifo', 'block'),
    mtime: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    n: fc.nat(5),
  })
  .map(({ path, type, mtime, n }): Entry => {
    const all = { path, mode: 0o600 + n, uid: n, gid: 7, ...(mtime !== undefined && { mtime }) };
    const content = { blob: String(n).repeat(64), offset: 512 * n, size: n, digest: 'f'.repeat(64) };
    if (path === '' || type === 'directory') return { ...all, type: 'directory' };
    if (type === 'file') return { ...all, type, content };
    if (type === 'hard') return { ...all, type: 'file', content, hard: true };
    if (type === 'symlink') return { ...all, type, target: `to ${n}` };
    return type === 'block' ? { ...all, type, major: n, minor: 1 } : { ...all, type: 'fifo' };
  });
const someLayer = fc
  .uniqueArray(someEntry, { selector: ({ path }) => path, maxLength: 12 })
  .map((entries): Tree => [...entries].sort(byPath));

/** What layers are together, entry by entry; undefined if two of them contradict each other. */
function composed(layers: readonly Tree[], sourceDate: number | undefined): Tree | undefined {
  const whole = new Map<string, Entry>();
  for (const entry of layers.flat()) {
    const hidden = whole.get(entry.path);
    const areDirectories = [hidden ?? entry, entry].filter(({ type }) => type === 'directory').length;
    if (areDirectories === 1) return undefined;
    if (hidden === undefined || areDirectories === 0 || entry.mtime !== undefined) whole.set(entry.path, entry);
  }
  for (const each of [...whole.keys(), 'root']) {
    for (let at = parentOf(each); at !== undefined; at = parentOf(at)) {
      const parent = whole.get(at) ?? { path: at, type: 'directory', mode: 0o755, uid: 0, gid: 0 };
      if (parent.type !== 'directory') return undefined;
      whole.set(at, parent);
    }
  }
  const entries = [...whole.values()].sort(byPath);
  const newest = sourceDate ?? Math.max(0, ...entries.map(({ mtime = 0 }) => mtime));
  const time = newest === 0 ? Date.UTC(2026, 0, 1) / 1000 : newest;
  return entries.map((entry) => ({ ...entry, mtime: Math.min(entry.mtime ?? time, time) }));
}

test('layers of all kinds are what they are entry by entry', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-compose-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const store = new Store(folder);
  await fc.assert(
    fc.asyncProperty(
      fc.array(someLayer, { minLength: 1, maxLength: 4 }),
      fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      async (layers, sourceDate) => {
        const inputs: Record<string, unknown> = {};
        for (const [n, layer] of layers.entries()) inputs[`layer 00${n}`] = await store.putTree(layer);
        const options = { layers: layers.map((_, n) => `layer ${n}`), files: {}, sourceDate };
        const run = async () => compose.run({ options, inputs, store } as unknown as StepContext);
        const wanted = composed(layers, sourceDate);
        if (wanted === undefined) await t.throwsAsync(run, { code: 'layer-conflict' });
        else t.deepEqual(await store.readTree((await run()) as { digest: string }), wanted);
      },
    ),
    { numRuns: 400 },
  );
});
