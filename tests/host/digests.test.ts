import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { readChecked, writeChecked } from '../../host/checked.ts';
import { FileDigests } from '../../host/digests.ts';

test('digests of what was not touched are remembered; of what is too young to tell, or changed, they are taken anew', async (t) => {
  const base = mkdtempSync(path.join(os.tmpdir(), 'smol-digests-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const memory = path.join(base, 'digests.json');
  const folder = path.join(base, 'folder');
  const file = path.join(folder, 'sub', 'file');
  const look = async () => {
    const digests = new FileDigests(memory);
    const found = [digests.directory(folder, 'normal'), (await digests.of(file)).sha256];
    digests.save();
    return found;
  };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'one');
  const one = await look();
  t.is(readChecked(memory), undefined, 'it may still change within the same tick of its clock');
  await setTimeout(2100);
  t.deepEqual(await look(), one);

  // What is remembered is what is given: here something that was never true.
  const known = readChecked<Record<string, { sha256: string }>>(memory)!;
  t.deepEqual(Object.keys(known).sort(), [file, `normal ${folder}`].sort());
  for (const entry of Object.values(known)) entry.sha256 = 'remembered';
  writeChecked(memory, known);
  t.deepEqual(await look(), ['remembered', 'remembered']);

  // A clock that was set back: the same content, but nothing can be told from the times.
  utimesSync(file, new Date('2001-01-01'), new Date('2001-01-01'));
  t.deepEqual(await look(), one);
  utimesSync(file, new Date('2090-01-01'), new Date('2090-01-01'));
  t.deepEqual(await look(), one);
  writeFileSync(file, 'two');
  const two = await look();
  t.notDeepEqual(two, one);
});
