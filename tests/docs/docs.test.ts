import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { ETC, type Member, manyMembers, RESCUE } from '../rig/archives.ts';
import { Mirror } from '../rig/mirror.ts';
import { servePackages } from '../rig/packages.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

/** What the documents show is done: files are written, services built, commands known. */

const PAGES = ['README.md', ...readdirSync(path.join(packageRoot(), 'docs')).map((name) => `docs/${name}`)];

const COMP: readonly Member[] = [
  { name: './usr/bin/strip', content: 'strip' },
  { name: './usr/lib/libc.so', content: 'libc' },
];

for (const page of PAGES) {
  const text = readFileSync(path.join(packageRoot(), page), 'utf8');

  test.serial(`${page}: its services can be built as they are written`, async (t) => {
    // Blocks whose first line is the name of a file.
    const files = [
      ...text.matchAll(/```(?:yaml|sh)?\n# ((?:services\/|sets\/|kernels\/|smol\.config)\S+)\n([\s\S]*?)```/g),
    ];
    const services = files.flatMap(([, name]) => /^services\/([^/]+)\/service\.yaml$/.exec(name!)?.[1] ?? []);
    if (services.length === 0) return t.pass();
    const mirror = await Mirror.start(t);
    const box = new Sandbox(t);
    for (const [, name, content] of files) box.write(name!, content!);
    const etc = [...ETC, { name: './etc/group', content: 'www:*:24:\n' }].map((member) =>
      member.name === './etc/master.passwd' ? { ...member, content: 'root:*:0:0::::\nwww:*:24:24::::\n' } : member,
    );
    box.write(
      'smol.config.yaml',
      await mirror.serveNetbsd({ base: manyMembers(100), etc, comp: COMP, rescue: RESCUE }),
    );
    await servePackages(mirror, { 'nginx-1.27': {}, 'php-8.3': {} });
    box.write('services/shop/tree/var/www/index.html', 'hello\n');
    const result = await box.smol(['build', ...services, '--arch', 'amd64']);
    exits(t, result, 0);
  });

  test.serial(`${page}: its configurations are right`, async (t) => {
    const box = new Sandbox(t);
    for (const [, config] of text.matchAll(/```yaml\n# smol\.config\.yaml\n([\s\S]*?)```/g)) {
      box.write('smol.config.yaml', config!);
      const result = await box.smol(['list']);
      exits(t, result, 0);
    }
    t.pass();
  });

  test.serial(`${page}: its commands are known, with their options`, async (t) => {
    const box = new Sandbox(t);
    const help = new Map<string, string>();
    for (const [, command, rest] of text.matchAll(/(?:^|`)(?:\.\/)?smol (\w+)([^`#\n]*)/gm)) {
      const isGroup = ['cache', 'image', 'bench', 'step'].includes(command!);
      const names = [command!, ...(isGroup ? rest!.trim().split(' ').slice(0, 1) : [])].filter((name) => name !== '');
      const key = names.join(' ');
      if (!help.has(key)) {
        const { code, stdout } = await box.smol([...names, '--help']);
        t.is(code, 0, key);
        help.set(key, stdout);
      }
      for (const option of rest!.match(/(?<= )--?[a-zA-Z][a-z-]*/g) ?? []) {
        t.true(help.get(key)!.includes(option), `${key} ${option}`);
      }
    }
    t.pass();
  });
}
