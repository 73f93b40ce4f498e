import { mkdirSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { chromium, type Page } from 'playwright-core';
import { packageRoot } from '../../host/paths.ts';
import { linuxProject, writeService } from '../rig/debian.ts';
import { exits } from '../rig/sandbox.ts';

/** The page of smol ui in Debian's Chromium, as a person uses it; what each view looks like is kept in build/screenshots. */

const SHELL = `#!/bin/sh
/bin/busybox --install -s /bin
. /etc/include/linuxrc
mkdir /www; echo '<title>hello</title>hello from the page' > /www/index.html
httpd -h /www
echo 'the shell is ready'
exec sh -i < /dev/console > /dev/console 2>&1
`;
const SHOTS = path.join(packageRoot(), 'build', 'screenshots');

test.serial(
  'a machine is made, opened, typed at, stopped; a build goes green; a broken manifest is shown with its line',
  async (t) => {
    const box = linuxProject(t);
    const run = (memory: string) =>
      `run: {memory: ${memory}, ports: ["18471:80"], ready: {console: the shell is ready}}\n`;
    writeService(box, 'shell', SHELL, run('128M'));
    const ui = box.start(t, ['ui']);
    const [, url] = /open (\S+)/.exec(await ui.until(/open \S+\n/))!;
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
    t.teardown(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
    const wrong: string[] = [];
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
    const shot = (name: string, of: Page = page) =>
      of.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
    mkdirSync(SHOTS, { recursive: true });
    await page.goto(url!);
    t.false(page.url().includes('token'), 'the address in the history lets nobody in');

    // A build, step by step, until all of it is green.
    await page.click('nav >> text=builds');
    await page.selectOption('select', 'shell');
    await page.waitForSelector('.node:has-text("image shell-amd64")');
    await page.click('button:text-is("Build")');
    await page.waitForSelector('.node.done, .node.cached', { timeout: 120_000 });
    await page.waitForSelector('.bar .state.done');
    t.is(await page.locator('.node').count(), await page.locator('.node.done, .node.cached').count());
    await page.click('.node:has-text("layout shell-amd64")');
    await page.waitForSelector('dt:text-is("Key")');
    await page.click('summary:text-is("Key record")');
    await page.waitForSelector('pre:has-text("\\"partition\\": \\"shellroot\\"")');
    await shot('builds');

    // Its settings: seen before they are written, with what else is in the manifest kept.
    box.write('services/shell/service.yaml', `# ours\n${box.read('services/shell/service.yaml')}`);
    await page.selectOption('select', 'hello');
    await page.waitForSelector('text=hello comes with smol');
    await page.selectOption('select', 'shell');
    await page.waitForSelector('h2:text-is("How shell runs")');
    await page.fill('input[placeholder="256M"]', 'lots');
    await page.click('button:text-is("Show what changes")');
    await page.waitForSelector('.problem:has-text("memory")');
    await page.fill('input[placeholder="256M"]', '144M');
    await page.click('button:text-is("Show what changes")');
    await page.waitForSelector('.diff .added:has-text("144M")');
    await shot('settings');
    await page.click('button:text-is("Write it")');
    await page.waitForSelector('.diff', { state: 'detached' });
    t.regex(box.read('services/shell/service.yaml'), /^# ours\ndescription: x\n(.*\n)*.*memory: 144M/);

    // A machine of it.
    await page.click('nav >> text=machines');
    await page.selectOption('select', 'shell');
    await page.click('button:text-is("Start")');
    await page.waitForSelector('.machines .state.running', { timeout: 120_000 });
    const link = page.locator('.machines a');
    t.is(await link.getAttribute('href'), 'http://127.0.0.1:18471/');
    const opened = await browser.newPage();
    await opened.goto('http://127.0.0.1:18471/');
    t.is(await opened.title(), 'hello');
    await opened.close();
    await page.fill('input[placeholder="as the service says"] >> nth=0', '18471:80');
    await page.waitForSelector('text=shell has one of these ports');
    t.true(await page.locator('button:text-is("Start")').isDisabled());

    // Its console: what it said before, and what it answers.
    await page.click('button:text-is("Console")');
    await page.waitForSelector('[role=status]:text-is("connected")');
    const screen = page.locator('.xterm-accessibility-tree');
    await screen.getByText('the shell is ready').first().waitFor();
    await page.keyboard.type('echo typed $((40 + 2))\n');
    await screen.getByText('typed 42').first().waitFor();
    await shot('machines');
    await page.click('button:text-is("Leave")');
    // One that is protected is stopped by nobody.
    await page.click('button:text-is("Protect")');
    await page.waitForSelector('button:text-is("Protected")');
    t.true(await page.locator('.machines button:text-is("Stop")').isDisabled());
    const refused = await box.smol(['stop', 'shell']);
    t.regex(refused.stderr, /error\[vm-protected\]: shell is protected.*\n.*smol protect shell --off/);
    exits(t, await box.smol(['protect', 'shell', '--off']), 0);
    await page.waitForSelector('button:text-is("Protect")');
    await page.click('nav >> text=builds');
    await page.waitForSelector('h2:text-is("How fast shell booted")');
    await shot('boots');
    await page.click('nav >> text=machines');
    await page.click('.machines button:text-is("Stop")');
    await page.waitForSelector('.machines .state.stopped');
    await page.click('button:text-is("Log")');
    await page.waitForSelector('.machines .log:has-text("typed 42")');
    await page.click('button:text-is("Remove…")');
    await page.click('button:text-is("Remove shell and its disk")');
    await page.waitForSelector('text=No VM runs');

    // What is in its image.
    await page.click('nav >> text=images');
    await page.click('button:text-is("shell-amd64")');
    await page.click('button:text-is("etc/")');
    await page.waitForSelector('td:text-is("inittab")');
    await page.waitForSelector('.bar:has-text("busybox-static")');
    await shot('images');
    await page.click('nav >> text=system');
    await page.waitForSelector('text=run amd64');
    await shot('system');

    // A manifest with a mistake, and a description that would be a page of its own.
    box.write('services/shell/service.yaml', 'description: "<img src=x onerror=alert(1)>"\nsets: [busybox-statik]\n');
    await page.click('nav >> text=builds');
    await page.selectOption('select', 'hello');
    await page.selectOption('select', 'shell');
    await page.waitForSelector('.problem:has-text("did you mean")');
    t.regex((await page.textContent('.problem'))!, /service\.yaml:2:8\n.*busybox-statik/);
    await shot('problem');
    await page.click('nav >> text=machines');
    await page.selectOption('select', 'shell');
    await page.waitForSelector('text=<img src=x onerror=alert(1)>');

    // By keyboard alone, on a telephone, in the dark.
    const phone = await browser.newContext({
      viewport: { width: 390, height: 800 },
      colorScheme: 'dark',
      storageState: await page.context().storageState(),
    });
    const small = await phone.newPage();
    await small.goto(page.url());
    await small.waitForSelector('h2');
    t.true(await small.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is cut off');
    await small.keyboard.press('Tab');
    await small.keyboard.press('Tab');
    await small.keyboard.press('Enter');
    await small.waitForSelector('h2:text-is("Build")');
    await shot('phone', small);
    t.deepEqual(
      wrong.filter((text) => !/400 \(Bad Request\)/.test(text)),
      [],
    );
  },
);
