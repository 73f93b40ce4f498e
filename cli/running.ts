import { type Command, InvalidArgumentError } from 'commander';
import { usage } from '../model/problems.ts';
import { ARCH_HELP, checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

interface RunFlags {
  arch?: string;
  frozen?: boolean;
  offline?: boolean;
  detach?: boolean;
  name?: string;
  memory?: string;
  cpus?: string;
  port?: string[];
  append?: string;
  share?: string;
  var?: Record<string, string>;
  file?: Record<string, string>;
  timeout?: string;
  direct?: boolean;
  watch?: boolean;
  json?: boolean;
}

const FORWARD = /^((\d{1,3}\.){3}\d{1,3}:)?\d{1,5}:\d{1,5}(\/(tcp|udp))?$/;

function forward(value: string, before: string[] | undefined): string[] {
  if (!FORWARD.test(value)) throw new InvalidArgumentError('It must be [address:]host:guest[/udp], such as 8080:80.');
  return [...(before ?? []), value];
}

/** A parser for `name=value`, whose name has a form; values are collected by name. */
function named(form: RegExp) {
  return (text: string, before: Record<string, string> | undefined): Record<string, string> => {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(0, at));
    if (!form.test(name)) throw new InvalidArgumentError('It must be a short name, =, and what it stands for.');
    return { ...before, [name]: text.slice(at + 1) };
  };
}

/** The commands for VMs. */
export function addRunning(root: Command, context: Context): void {
  const { caller, print } = context;
  root
    .command('run')
    .description('build a service, boot it and wait until it answers; ^C stops it')
    .argument('<service>', 'its name')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-d, --detach', 'leave the VM running when the service answers')
    .option('-n, --name <name>', "name of the VM; by default the service's")
    .option('-m, --memory <size>', 'memory, such as 256M', checkedBy(/^[1-9]\d*[MG]$/, 'a size such as 256M'))
    .option('-c, --cpus <n>', 'virtual processors', checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'))
    .option('-p, --port <forward>', "[address:]host:guest[/udp] instead of the service's; may be repeated", forward)
    .option('--append <words>', "words to add to the kernel's command line")
    .option('--share <directory>', 'a directory for the guest, by 9p')
    .option(
      '-e, --var <name=value>',
      "a variable for the guest's /etc/rc; may be repeated",
      named(/^[A-Za-z_]\w{0,33}$/),
    )
    .option(
      '-E, --file <name=path>',
      'a file of this host for the guest, such as a key; may be repeated',
      named(/^\w[\w.-]{0,32}$/),
    )
    .option(
      '--timeout <seconds>',
      'how long the service may take to answer',
      checkedBy(/^[1-9]\d*$/, 'a number of seconds'),
    )
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .option('--direct', 'let the guest write to the image itself, not to a disk that is gone when it stops')
    .option('-w, --watch', 'build and start again whenever something that it is made of was saved')
    .option('--json', 'print events as JSON, one a line')
    .action(async (service: string, options: RunFlags) => {
      context.tellAs(options);
      if (options.watch && options.detach)
        throw usage('--watch stays with the VM, and --detach leaves it', 'give one of them');
      const { run, watchRun } = await import('../commands/run.ts');
      const { openKeyboard } = await import('./keyboard.ts');
      using keyboard = options.detach || options.json ? undefined : openKeyboard(() => context.interrupt());
      const { port, cpus, timeout, var: vars, file: files, json: _, ...rest } = options;
      await (options.watch ? watchRun : run)(caller, {
        ...rest,
        service,
        ports: port,
        vars,
        files,
        cpus: cpus === undefined ? undefined : Number(cpus),
        timeout: timeout === undefined ? undefined : Number(timeout),
        input: keyboard?.input,
      });
    });

  root
    .command('ps')
    .description('list the VMs that are running')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { ps } = await import('../commands/machines.ts');
      const running = await ps(caller);
      if (options.json) print(JSON.stringify(running, undefined, 2));
      else print((await import('./tables.ts')).vmTable(running));
    });

  root
    .command('stop')
    .description('stop VMs: by their power button, or else at once')
    .argument('[name...]', 'their names')
    .option('--all', 'all of this project')
    .action(async (names: string[], options: { all?: boolean }) => {
      if (names.length === 0 && !options.all)
        throw usage('which VM is to be stopped?', 'give its name, or --all; `smol ps` lists them');
      const { stop } = await import('../commands/machines.ts');
      await stop(caller, names, options.all ?? false);
    });
}
