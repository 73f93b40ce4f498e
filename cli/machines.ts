import type { Command } from 'commander';
import { usage } from '../model/problems.ts';
import { checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

const SECONDS = checkedBy(/^[1-9]\d*$/, 'a number of seconds');

/** The commands for VMs that were started. */
export function addMachines(root: Command, context: Context): void {
  const { caller, print } = context;
  root
    .command('ps')
    .description('list the VMs that are running')
    .option('--all', 'and those that are kept')
    .option('--json', 'print JSON')
    .action(async (options: { all?: boolean; json?: boolean }) => {
      const { ps } = await import('../commands/machines.ts');
      const running = await ps(caller, options.all);
      if (options.json) print(JSON.stringify(running, undefined, 2));
      else print((await import('./tables.ts')).vmTable(running));
    });

  root
    .command('stop')
    .description('stop VMs: by their power button, or else at once')
    .argument('[name...]', 'their names')
    .option('--all', 'all of this project')
    .option(
      '-t, --timeout <seconds>',
      'how long a guest may take to power off; by default 10',
      checkedBy(/^\d{1,4}$/, 'a number of seconds'),
    )
    .action(async (names: string[], options: { all?: boolean; timeout?: string }) => {
      if (names.length === 0 && !options.all)
        throw usage('which VM is to be stopped?', 'give its name, or --all; `smol ps` lists them');
      const { stop } = await import('../commands/machines.ts');
      const seconds = options.timeout === undefined ? undefined : Number(options.timeout);
      await stop(caller, names, options.all ?? false, seconds);
    });

  root
    .command('restart')
    .description('stop a VM if it runs, and start it again as it was started, with the disk that it has')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      const { restart } = await import('../commands/machines.ts');
      await restart(caller, name);
    });

  root
    .command('rm')
    .description('remove VMs that are kept, with their disks')
    .argument('<name...>', 'their names')
    .option('--force', 'stop them first')
    .action(async (names: string[], options: { force?: boolean }) => {
      const { remove } = await import('../commands/machines.ts');
      await remove(caller, names, options.force ?? false);
    });

  root
    .command('protect')
    .description('keep a VM from being stopped or removed, by whoever may ask')
    .argument('<name>', 'its name')
    .option('--off', 'let it be stopped and removed again')
    .action(async (name: string, { off = false }: { off?: boolean }) => {
      const { protect } = await import('../commands/machines.ts');
      await protect(caller, name, !off);
    });

  root
    .command('wait')
    .description('wait until a VM ends')
    .argument('<name>', 'its name')
    .option('--timeout <seconds>', 'how long at most', SECONDS)
    .action(async (name: string, { timeout }: { timeout?: string }) => {
      const { wait } = await import('../commands/machines.ts');
      await wait(caller, name, timeout === undefined ? undefined : Number(timeout));
    });

  root
    .command('logs')
    .description('print what the console of a VM has said')
    .argument('<name>', 'its name')
    .option('-f, --follow', 'and what it says, until it ends')
    .action(async (name: string, options: { follow?: boolean }) => {
      const { logs } = await import('../commands/machines.ts');
      await logs(caller, name, options.follow ?? false, context.write);
    });

  root
    .command('console')
    .description('sit down at the console of a VM that runs by itself; ^] leaves it running')
    .argument('<name>', 'its name')
    .option('--resize', "at a shell: type what tells it the terminal's size, now and whenever that changes")
    .action(async (name: string, { resize = false }: { resize?: boolean }) => {
      const { openConsole } = await import('../commands/machines.ts');
      const { attach } = await import('./keyboard.ts');
      await using line = await openConsole(caller, name);
      await attach(line, name, { signal: caller.signal, write: context.write, resize });
    });

  root
    .command('send')
    .description('type a line on the console of a VM, and print what it says then')
    .argument('<name>', 'its name')
    .argument('<text>', 'the line')
    .option('--expect <pattern>', 'wait until that matches this regular expression')
    .option('--timeout <seconds>', 'how long at most', SECONDS)
    .action(async (name: string, text: string, options: { expect?: string; timeout?: string }) => {
      const { send } = await import('../commands/machines.ts');
      const expect = options.expect === undefined ? undefined : pattern(options.expect);
      const seconds = options.timeout === undefined ? undefined : Number(options.timeout);
      print((await send(caller, name, text, { expect, seconds })).replace(/\n$/, ''));
    });
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text, 'm');
  } catch (error) {
    throw usage((error as Error).message, 'give a regular expression of JavaScript');
  }
}
