import { writeFileSync } from 'node:fs';
import { compressed, manyMembers, tarOf } from '../tests/rig/archives.ts';
import { Bench, median, type Row, tell } from './rig.ts';

const SCRIPTS = 10;
const ENTRIES = 2000;

/** What ten scripts at build time cost, each confined: all of them, and after a change in the last; beside none. */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    bench.writeProject();
    writeFileSync(bench.path('base.tgz'), compressed(await tarOf(manyMembers(ENTRIES)), 'tgz'));
    bench.writeService('plain', '64M');
    bench.writeService('scripted', '64M');
    let change = 0;
    const write = (n: number) =>
      bench.write(
        `services/scripted/postinst/${String(n).padStart(2, '0')}.sh`,
        `echo ${n} ${change++} >> usr/order\n`,
      );
    const all = () => {
      for (let n = 0; n < SCRIPTS; n++) write(n);
    };
    const build = (name: string) => bench.smol('build', name, '--arch', 'amd64');
    const plain = median(
      () => build('plain'),
      () => bench.write('services/plain/etc/rc', `#!/bin/sh\n# ${change++}\n`),
    );
    const row = (way: string, scripts: number, prepare: () => void): Row => {
      const measured = median(() => build('scripted'), prepare);
      return { way, measured, told: `${((measured.ms - plain.ms) / scripts).toFixed(0)} ms a script` };
    };
    tell(`A tree of ${ENTRIES} entries, and ${SCRIPTS} scripts that work on it`, [
      { way: 'no script, one line changed', measured: plain, told: '' },
      row('all scripts changed', SCRIPTS, all),
      row('the last one changed', 1, () => write(SCRIPTS - 1)),
    ]);
  } finally {
    bench.remove();
  }
}
