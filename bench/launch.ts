import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../host/paths.ts';
import { compressed, tarOf } from '../tests/rig/archives.ts';
import { Bench, type Measured, median, type Row, tell, times } from './rig.ts';

/** What startnb.sh runs before QEMU: a name from the kernel's random numbers, questions to uname and QEMU, a look for a symbol. */
const SCRIPT = `#!/bin/sh
uuid=$(LC_ALL=C tr -dc 'A-Za-z0-9' < /dev/urandom | head -c8)
. ./bench.conf
OS=$(uname -s); arch=$(uname -m); machine=$(uname -p)
qemu-system-x86_64 --version | grep -oE 'version .*' > /dev/null
qemu-system-x86_64 --version | grep -q -E '9\\.[01]' && extra=-L
nm "$kernel" 2>&1 | grep -q viocon_earlyinit && console=viocon
network=$(echo "$hostfwd" | sed -E 's/(udp|tcp)?::/hostfwd=\\1::/g')
exec qemu-system-x86_64 -kernel "$kernel" -append "console=com root=NAME=benchroot" $network
`;

/**
 * How long it takes until QEMU is started: by smol, with nothing to build, and by a script that does what startnb.sh does. In
 * QEMU's place stands a program that notes when it was called, and ends; asked for its version, QEMU itself answers.
 */
export async function measure(): Promise<void> {
  const bench = new Bench();
  try {
    bench.writeProject();
    writeFileSync(bench.path('base.tgz'), compressed(await tarOf([{ name: './bin/sh', content: 'sh' }]), 'tgz'));
    bench.writeService('bench', '4M');
    bench.write('bench.conf', 'kernel=kernels/kernel\nmem=128m\nhostfwd=::8180-:80\n');
    const stamp = bench.path('stamp');
    const real = execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();
    const qemu = bench.write(
      'bin/qemu-system-x86_64',
      `#!/bin/sh\ncase $1 in --version) exec ${real} --version ;; *) date +%s%N > ${stamp} ;; esac\n`,
    );
    chmodSync(qemu, 0o755);
    const script = bench.write('startnb.sh', SCRIPT);
    const env = { ...process.env, PATH: `${path.dirname(qemu)}:${process.env.PATH}`, SMOL_CACHE: bench.path('cache') };
    const until = (program: string, args: readonly string[]): Measured => {
      const started = Date.now();
      spawnSync(program, args, { cwd: bench.folder, env, stdio: 'ignore' });
      return { ms: Number(readFileSync(stamp, 'utf8')) / 1e6 - started };
    };
    const main = path.join(packageRoot(), 'build/smol/main.js');
    const run = ['run', 'bench', '--arch', 'amd64', '--accel', 'tcg'];
    bench.smol('build', 'bench', '--arch', 'amd64');
    const shell = median(() => until('sh', [script]));
    const row = (way: string, measured: Measured): Row => ({ way, measured, told: times(measured, shell) });
    tell('Until QEMU is started', [
      row('a script that does what startnb.sh does', shell),
      row(
        'node -e 0, and then QEMU',
        median(() =>
          until(process.execPath, ['-e', "require('child_process').spawnSync('qemu-system-x86_64', ['x'])"]),
        ),
      ),
      row(
        'smol run, nothing to build',
        median(() => until(process.execPath, [main, ...run])),
      ),
    ]);
  } finally {
    bench.remove();
  }
}
