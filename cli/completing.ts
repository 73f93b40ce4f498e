import { Argument, type Command } from 'commander';
import { ARCHS } from '../model/arch.ts';
import type { Context } from './context.ts';

/** The commands that shells use. */
export function addCompleting(root: Command, context: Context): void {
  const { caller, print } = context;
  root
    .command('completion')
    .description('print a script that completes commands, services and architectures')
    .addArgument(new Argument('<shell>', 'your shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => print((await import('./completions.ts')).SHELLS[shell]));

  root
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      const { candidates } = await import('./completions.ts');
      const { listServices } = await import('../commands/list.ts');
      const { ps } = await import('../commands/machines.ts');
      const found = await candidates(root, words, {
        services: async () => (await listServices(caller)).map(({ name }) => name),
        vms: async () => (await ps(caller)).map(({ name }) => name),
        archs: [...ARCHS, 'all'],
      });
      print(found.join('\n'));
    });
}
