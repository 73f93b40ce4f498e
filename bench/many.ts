import path from 'node:path';
import { packageRoot } from '../host/paths.ts';
import { cleanEnvironment, runProgram } from '../tests/rig/sandbox.ts';
import { Bench, type Row, tell } from './rig.ts';

const VMS = 20;
const FIRST_PORT = 21_400;

/** Many VMs of one service, started at the same moment and stopped at another; each must answer, and none may be left. */
export async function measure(): Promise<void> {
  const bench = new Bench();
  const env = { ...cleanEnvironment(), SMOL_CACHE: bench.path('cache') };
  const smol = async (command: string): Promise<string> => {
    const words = [process.execPath, path.join(packageRoot(), 'build/smol/main.js'), ...command.split(' ')];
    const { code, stdout, stderr } = await runProgram(words, { cwd: bench.folder, env });
    if (code !== 0) throw new Error(`smol ${command} ended with ${code}: ${stderr}`);
    return stdout;
  };
  const running = async () => `${(JSON.parse(await smol('ps --json')) as unknown[]).length} are running`;
  try {
    bench.write('smol.config.yaml', 'release: debian\n');
    await smol('build hello --arch amd64');
    const rows: Row[] = [];
    const timed = async (way: string, work: () => Promise<string>) => {
      const started = performance.now();
      const told = await work();
      rows.push({ way, measured: { ms: performance.now() - started }, told });
    };
    const run = async (name: string, port: number) => {
      await smol(`run hello --arch amd64 --name ${name} --port ${port}:80 --timeout 300 --detach`);
      const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
      if (!page.includes('Hello from a micro-VM')) throw new Error(`${name} answers: ${page}`);
    };
    try {
      await timed('one VM, until it answers', async () => {
        await run('alone', FIRST_PORT);
        await smol('stop --all');
        return 'with its stop';
      });
      await timed(`${VMS} VMs at once, until all of them answer`, async () => {
        await Promise.all(Array.from({ length: VMS }, (_, n) => run(`vm${n}`, FIRST_PORT + n)));
        return running();
      });
    } finally {
      await timed('stop --all', async () => {
        await smol('stop --all');
        return running();
      });
    }
    tell('Many VMs at once', rows);
  } finally {
    bench.remove();
  }
}
