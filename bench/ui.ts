import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { packageRoot } from '../host/paths.ts';
import { birthOf } from '../host/process.ts';
import { Hub } from '../web/hub.ts';
import { serveUi } from '../web/server.ts';
import { Bench, medianHere, type Row, RUNS, tell } from './rig.ts';

/** What the page weighs, how soon it can be used, and how late it hears what happens. */
export async function measure(): Promise<void> {
  const bench = new Bench();
  const over = new AbortController();
  try {
    bench.writeProject();
    bench.writeService('bench', '4M');
    const rows: Row[] = [];
    const folder = path.join(packageRoot(), 'build', 'smol', 'page');
    const weight = (of: (name: string) => boolean) =>
      readdirSync(folder)
        .filter(of)
        .reduce((sum, name) => sum + gzipSync(readFileSync(path.join(folder, name))).length, 0);
    const first = weight((name) => !name.startsWith('console'));
    const terminal = weight((name) => name.startsWith('console'));
    console.log(
      `\nthe page: ${(first / 1000).toFixed(0)} kB compressed, and ${(terminal / 1000).toFixed(0)} kB once a console is opened`,
    );

    const caller = { folder: bench.folder, signal: over.signal, emit: () => undefined };
    await using ui = await serveUi(caller, { address: '127.0.0.1', port: 0 });
    const chromium = '/usr/bin/chromium';
    if (existsSync(chromium)) {
      const browsers = await import('playwright-core');
      const browser = await browsers.chromium.launch({ executablePath: chromium, args: ['--no-sandbox'] });
      const useful = async () => {
        const page = await browser.newPage();
        await page.goto(ui.url);
        await page.waitForSelector('text=No VM runs');
        await page.close();
      };
      rows.push({
        way: 'from the address to a page that knows the machines',
        measured: await medianHere(useful),
        told: `${RUNS} runs`,
      });
      await browser.close();
    }
    rows.push(await fiftyMachines(bench));
    const late: number[] = [];
    const hub = new Hub();
    hub.listen({
      writeHead: () => undefined,
      on: () => undefined,
      end: () => undefined,
      writableLength: 0,
      write: (text: string) => {
        if (!text.startsWith('data: ')) return;
        for (const { at } of JSON.parse(text.slice('data: '.length)) as { at: number }[])
          late.push(performance.now() - at);
      },
    } as never);
    for (let n = 0; n < 1000; n++) {
      hub.tell({ type: 'build-event', at: performance.now() });
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    hub.close();
    late.sort((a, b) => a - b);
    rows.push({
      way: 'from an event to the page, of 1,000 steps',
      measured: { ms: late[Math.floor(late.length / 2)]! },
      told: `at most ${late.at(-1)!.toFixed(0)} ms`,
    });
    tell('The page', rows);
  } finally {
    over.abort();
    bench.remove();
  }
}

/** What the server takes when a page looks at fifty machines: as many records as a busy host has, of a process that lives. */
async function fiftyMachines(bench: Bench): Promise<Row> {
  const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
  try {
    for (let n = 0; n < 50; n++) {
      const name = `vm${n}`;
      const at = bench.path(`.smol/vm/${name}`);
      const files = {
        runtime: at,
        consoleSocket: `${at}/console`,
        qmpSocket: `${at}/qmp`,
        consoleLog: `${at}/console.log`,
      };
      const forwards = [{ protocol: 'tcp', address: '127.0.0.1', host: 9000 + n, guest: 80 }];
      const known = {
        name,
        target: 'bench-amd64',
        pid: sleeper.pid!,
        born: birthOf(sleeper.pid!),
        started: Date.now(),
      };
      const rest = {
        forwards,
        urls: [],
        accelerator: 'tcg',
        memory: 128,
        powerButton: false,
        kept: true,
        ready: true,
        options: {},
      };
      bench.write(`.smol/vm/${name}/vm.json`, JSON.stringify({ ...known, ...rest, ...files }));
    }
    const main = path.join(packageRoot(), 'build', 'smol', 'main.js');
    const env = { ...process.env, SMOL_CACHE: bench.path('cache') };
    const ui = spawn(process.execPath, [main, 'ui'], { cwd: bench.folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const [line] = (await once(ui.stdout, 'data')) as [Buffer];
      const url = new URL(/http\S+/.exec(line.toString())![0]);
      const headers = { authorization: `Bearer ${url.searchParams.get('token')}` };
      const look = async () => {
        const answer = await fetch(`${url.origin}/api/v1/machines`, { headers });
        if (((await answer.json()) as unknown[]).length !== 50) throw new Error('there are not fifty machines');
      };
      for (let n = 0; n < 50; n++) await look();
      const measured = await medianHere(look);
      const rss = 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${ui.pid}/status`, 'utf8'))![1]);
      return { way: 'a look at 50 machines, the 50th', measured: { ...measured, rss }, told: '' };
    } finally {
      ui.kill();
    }
  } finally {
    sleeper.kill();
  }
}
