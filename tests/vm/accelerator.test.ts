import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { readChecked } from '../../host/checked.ts';
import { attempt } from '../../host/process.ts';
import { ARM_GUEST, chooseAccelerator, tscKhz, x86Guest } from '../../vm/accelerator.ts';

test('the tiny guests that prove an accelerator do run, under TCG', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-probe-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const boot = async (program: string, kernel: Buffer, machine: string[]) => {
    const file = path.join(folder, program);
    writeFileSync(file, kernel);
    const rest = ['-m', '64M', '-nodefaults', '-display', 'none', '-no-reboot', '-kernel', file];
    return (await attempt(program, [...machine, ...rest], { signal: AbortSignal.timeout(60_000) })).code;
  };
  t.is(
    await boot('qemu-system-x86_64', x86Guest(), [
      '-machine',
      'microvm,accel=tcg',
      '-cpu',
      'max',
      '-device',
      'isa-debug-exit,iobase=0xf4,iosize=0x04',
    ]),
    33,
  );
  t.is(await boot('qemu-system-aarch64', ARM_GUEST, ['-machine', 'virt,accel=tcg', '-cpu', 'cortex-a53']), 0);
});

test('what was found is remembered, and the processor of another kind is emulated without a word', async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'smol-probe-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const foreign = process.arch === 'arm64' ? 'amd64' : 'evbarm-aarch64';
  t.deepEqual(await chooseAccelerator(foreign, folder), { accelerator: 'tcg' });
  const own = process.arch === 'arm64' ? 'evbarm-aarch64' : 'amd64';
  const first = await chooseAccelerator(own, folder);
  if (first.accelerator === 'tcg' && first.reason === undefined) return t.pass('this host has no accelerator to probe');
  const started = performance.now();
  t.deepEqual(await chooseAccelerator(own, folder), first);
  t.true(performance.now() - started < 100);
  t.is(Object.keys(readChecked<object>(path.join(folder, 'accelerators.json'))!).length, 1);
});

test('the rate of the time stamp counter is that of a real processor', (t) => {
  t.true(tscKhz() >= 500_000 && tscKhz() <= 10_000_000, `${tscKhz()}`);
});
