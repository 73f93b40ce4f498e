import type { Command } from 'commander';
import { EXIT_CODES } from '../model/problem.ts';
import { checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

/** The commands that look after projects, pins, the cache and this host. */
export function addKeeping(root: Command, context: Context): void {
  const { caller, print } = context;
  root
    .command('init')
    .description('start a project in this directory')
    .argument('[service]', 'name of its first service', 'hello')
    .action(async (service: string) => {
      const { init } = await import('../commands/init.ts');
      for (const file of await init(caller, service)) print(`wrote ${file}`);
      print(`now: smol run ${service}`);
    });

  root
    .command('list')
    .description('list the services that can be built here')
    .action(async () => {
      const { listServices } = await import('../commands/list.ts');
      print((await import('./tables.ts')).serviceTable(await listServices(caller)));
    });

  root
    .command('update')
    .description('pin what sources are now: all, one source, or all of a service')
    .argument('[name]', 'a source as in smol.lock.yaml, or a service')
    .action(async (name: string | undefined) => {
      const { update } = await import('../commands/update.ts');
      const moves = await update(caller, name);
      print((await import('./tables.ts')).moveList(moves));
    });

  root
    .command('cache')
    .description('say how large the cache is and may be')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { cacheReport } = await import('../commands/cache.ts');
      const report = await cacheReport(caller);
      print(options.json ? JSON.stringify(report, undefined, 2) : (await import('./tables.ts')).cacheText(report));
    });

  root
    .command('gc')
    .description('evict from the cache what was used longest ago; builds do so by themselves')
    .option(
      '--limit <size>',
      'down to this size, not to that of the configuration',
      checkedBy(/^\d+[MG]$/, 'a size such as 5G'),
    )
    .action(async (options: { limit?: string }) => {
      const { gc } = await import('../commands/cache.ts');
      const collection = await gc(caller, options.limit);
      print((await import('./tables.ts')).collectionText(collection));
    });

  root
    .command('doctor')
    .description('say what this host has and lacks, and how to mend it')
    .option('--fix', 'install missing Debian packages first (as root, or with a sudo that asks nothing)')
    .action(async (options: { fix?: boolean }) => {
      const { doctor } = await import('../commands/doctor.ts');
      const findings = await doctor(caller, options.fix ?? false);
      print((await import('./tables.ts')).findingList(findings));
      if (findings.some(({ state }) => state === 'lacks')) context.exitCode = EXIT_CODES.environment;
    });
}
