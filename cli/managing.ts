import type { Command } from 'commander';
import { usage } from '../model/problems.ts';
import { checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

/** The command that serves the web manager. */
export function addManaging(root: Command, context: Context): void {
  root
    .command('ui')
    .description('see and manage machines, builds and images in a browser; ^C ends it')
    .option('-p, --port <port>', 'the port of the page; by default any that is free', checkedBy(/^\d{1,5}$/, 'a port'))
    .option(
      '--address <address>',
      'where to listen, if not at 127.0.0.1; who knows the address that is printed may come in',
    )
    .action(async ({ port = '0', address = '127.0.0.1' }: { port?: string; address?: string }) => {
      if (Number(port) > 65535) throw usage(`there is no port ${port}`, 'give one from 1 to 65535');
      const { serveUi } = await import('../web/server.ts');
      await using ui = await serveUi(context.caller, { port: Number(port), address });
      context.print(`open ${ui.url}`);
      await new Promise<void>((resolve) => context.caller.signal.addEventListener('abort', () => resolve()));
    });
}
