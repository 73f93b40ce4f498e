import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { packageRoot } from '../host/paths.ts';
import { Bench, type Row, tell } from './rig.ts';

const VMS = 20;
const FIRST_PORT = 21_400;

/** Many VMs of one service, started at the same moment and stopped at another; each must answer, and none may be left. */
export async function measure(): Promise<void> {
  const bench = new Bench();
  const smol = async (...args: string[]): Promise<string> => {
    const child = spawn(process.execPath, [path.join(packageRoot(), 'build/smol/main.js'), ...args], {
      cwd: bench.folder,
      env: { ...process.env, SMOL_CACHE: bench.path('cache') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`smol ${args.join(' ')} ended with ${code}: ${errors}`);
    return out;
  };
  try {
    bench.write('smol.config.yaml', 'release: debian\n');
    await smol('build', 'hello', '--arch', 'amd64');
    const rows: Row[] = [];
    const timed = async (way: string, work: () => Promise<string>) => {
      const started = performance.now();
      const told = await work();
      rows.push({ way, measured: { ms: performance.now() - started }, told });
    };
    const run = async (name: string, port: number) => {
      await smol(
        'run',
        'hello',
        '--arch',
        'amd64',
        '--name',
        name,
        '--port',
        `${port}:80`,
        '--timeout',
        '300',
        '--detach',
      );
      const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
      if (!page.includes('Hello from a micro-VM')) throw new Error(`${name} answers: ${page}`);
    };
    try {
      await timed('one VM, until it answers', async () => {
        await run('alone', FIRST_PORT);
        await smol('stop', '--all');
        return 'with its stop';
      });
      await timed(`${VMS} VMs at once, until all of them answer`, async () => {
        await Promise.all(Array.from({ length: VMS }, (_, n) => run(`vm${n}`, FIRST_PORT + n)));
        return `${(JSON.parse(await smol('ps', '--json')) as unknown[]).length} are running`;
      });
    } finally {
      await timed('stop --all', async () => {
        await smol('stop', '--all');
        return `${(JSON.parse(await smol('ps', '--json')) as unknown[]).length} are running`;
      });
    }
    tell('Many VMs at once', rows);
  } finally {
    bench.remove();
  }
}
