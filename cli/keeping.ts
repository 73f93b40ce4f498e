import type { Command } from 'commander';
import { EXIT_CODES } from '../model/problem.ts';
import { ARCH_HELP, checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

/** The commands that look after projects, pins, the cache and this host. */
export function addKeeping(root: Command, context: Context): void {
  const { caller, print } = context;
  root.commandsGroup('Keep house:');
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

  const cache = root
    .command('cache')
    .description('say how large the cache is and may be, and what it has spared; or move some of it')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { cacheReport } = await import('../commands/cache.ts');
      const report = await cacheReport(caller);
      print(options.json ? JSON.stringify(report, undefined, 2) : (await import('./tables.ts')).cacheText(report));
    });
  cache
    .command('export')
    .description('write what services are made of to one file, for the cache of a CI; builds what is missing')
    .argument('<file>', 'the file to write: a tar archive')
    .requiredOption('--for <service...>', 'names of services')
    .option('-a, --arch <arch>', `${ARCH_HELP}; or all`)
    .option('--downloads', 'take what was fetched too; what was made of it is taken in any case')
    .action(async (file: string, options: { for: string[]; arch?: string; downloads?: boolean }) => {
      const { exportCache } = await import('../commands/transfer.ts');
      const { for: services, ...rest } = options;
      const written = await exportCache(caller, file, { ...rest, services });
      print(`wrote ${file}: ${(await import('./tables.ts')).transferText(written)}`);
    });
  cache
    .command('import')
    .description('take in what `smol cache export` wrote; every byte is verified, but whoever wrote it is trusted')
    .argument('<file>', 'the file')
    .action(async (file: string) => {
      const { importCache } = await import('../commands/transfer.ts');
      print(`took in ${(await import('./tables.ts')).transferText(await importCache(caller, file))}`);
    });

  cache
    .command('key')
    .description('make a key to sign results for a remote cache with, if there is none; prints its public half')
    .argument('<file>', 'the private key: to be kept secret, and given to who may write as SMOL_CACHE_KEY')
    .action(async (file: string) => {
      const { cacheKey } = await import('../commands/remote.ts');
      print(await cacheKey(caller, file));
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
