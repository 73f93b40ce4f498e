import { writeFileSync } from 'node:fs';
import { compressed, tarOf } from '../tests/rig/archives.ts';
import { Bench, median, type Row, tell } from './rig.ts';

/** What it costs to find that there is nothing to do: projects of 1, 50 and 1,000 services; `ninja` beside it. */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    bench.writeProject();
    writeFileSync(bench.path('base.tgz'), compressed(await tarOf([{ name: './bin/sh', content: 'sh' }]), 'tgz'));
    const services = Array.from({ length: 1000 }, (_, n) => `s${n}`);
    for (const name of services) bench.writeService(name, '4M');
    const build = (count: number) => ['build', ...services.slice(0, count), '--arch', 'amd64'];
    bench.smol(...build(1000));

    const node = median(() => bench.time(process.execPath, ['-e', '0']));
    const row = (way: string, args: readonly string[]): Row => {
      const measured = median(
        () => bench.smol(...args),
        undefined,
        () => bench.smolUsage(...args),
      );
      return { way, measured, told: `node + ${(measured.ms - node.ms).toFixed(0)} ms` };
    };
    tell('A start, and a build that has nothing to do, in a project of 1,000 services', [
      { way: 'node -e 0', measured: node, told: '' },
      row('smol --version', ['--version']),
      row('smol build: 1 service', build(1)),
      row('smol build: 50 services', build(50)),
      row('smol build: 1,000 services', build(1000)),
      row('smol build --dry-run: 50 services', [...build(50), '--dry-run']),
    ]);
  } finally {
    bench.remove();
  }
}
