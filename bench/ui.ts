import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { packageRoot } from '../host/paths.ts';
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
