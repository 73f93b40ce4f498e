import { Command, InvalidArgumentError } from 'commander';
import type { Caller } from '../commands/session.ts';
import { packageVersion } from '../host/paths.ts';
import { EXIT_CODES } from '../model/problem.ts';
import { usage } from '../model/problems.ts';
import { nearest } from '../model/words.ts';

/** What the commands of the command line work with. */
export interface Context {
  readonly caller: Caller;
  /** Writes a result to standard output. */
  readonly print: (text: string) => void;
  readonly useJson: (json: boolean) => void;
  /** What ^C does. */
  readonly interrupt: () => void;
  /** What to exit with when nothing was thrown. */
  exitCode: number;
}

const EXAMPLES = `
Examples:
  smol run hello                        build a small Linux guest, boot it, answer on http://127.0.0.1:8080/
  smol build rescue --arch i386         make images/rescue-i386.img
  smol run bozohttpd --port 8000:80     NetBSD's web server, on another port
  smol init                             start a project of your own in this directory

Exit codes: 0 done, 1 a step or a guest failed, 2 wrong usage or manifest, 3 something is wrong with this host,
            4 something is not what was pinned, 130 interrupted.`;

/** The command line. Actions load what they need when they run: starting must cost nothing. */
export function program(context: Context): Command {
  const { caller, print } = context;
  const root = new Command('smol')
    .description('Builds and runs micro-VMs of NetBSD from manifests.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      outputError: () => undefined, // what is wrong is told like any other problem
    });

  root
    .command('build')
    .description('make the images of services')
    .argument('<service...>', 'their names')
    .option('-a, --arch <arch>', "amd64, i386, evbarm-aarch64 or all; by default the host's")
    .option('-k, --keep-going', 'after a failure, go on with what does not depend on it')
    .option(
      '-j, --jobs <n>',
      'how many steps compute, or write, at once',
      checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'),
    )
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .option('--dry-run', 'only say what would be done')
    .option('--json', 'print events as JSON, one a line')
    .action(async (services: string[], options: BuildFlags) => {
      if (options.dryRun) {
        const { plan } = await import('../commands/forecast.ts');
        const steps = await plan(caller, { services, arch: options.arch });
        print(options.json ? JSON.stringify(steps, undefined, 2) : (await import('./graphs.ts')).dryRun(steps));
        return;
      }
      context.useJson(options.json ?? false);
      const { build } = await import('../commands/build.ts');
      await build(caller, {
        ...options,
        services,
        jobs: options.jobs === undefined ? undefined : Number(options.jobs),
      });
    });

  root
    .command('run')
    .description('build a service, boot it and wait until it answers; ^C stops it')
    .argument('<service>', 'its name')
    .option('-a, --arch <arch>', "amd64, i386 or evbarm-aarch64; by default the host's")
    .option('-d, --detach', 'leave the VM running when the service answers')
    .option('-n, --name <name>', "name of the VM; by default the service's")
    .option('-m, --memory <size>', 'memory, such as 256M', checkedBy(/^[1-9]\d*[MG]$/, 'a size such as 256M'))
    .option('-c, --cpus <n>', 'virtual processors', checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'))
    .option('-p, --port <forward>', "[address:]host:guest[/udp] instead of the service's; may be repeated", forward)
    .option('--append <words>', "words to add to the kernel's command line")
    .option('--share <directory>', 'a directory for the guest, by 9p')
    .option(
      '--timeout <seconds>',
      'how long the service may take to answer',
      checkedBy(/^[1-9]\d*$/, 'a number of seconds'),
    )
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .option('--direct', 'let the guest write to the image itself, not to a disk that is gone when it stops')
    .option('--json', 'print events as JSON, one a line')
    .action(async (service: string, options: RunFlags) => {
      context.useJson(options.json ?? false);
      const { run } = await import('../commands/run.ts');
      const { openKeyboard } = await import('./keyboard.ts');
      using keyboard = options.detach || options.json ? undefined : openKeyboard(() => context.interrupt());
      const { port, cpus, timeout, json: _, ...rest } = options;
      await run(caller, {
        ...rest,
        service,
        ports: port,
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

  root
    .command('why')
    .description('say why the last build ran what it ran')
    .argument('<service...>', 'names of services')
    .option('-a, --arch <arch>', "amd64, i386 or evbarm-aarch64; by default the host's")
    .option('--json', 'print JSON')
    .action(async (services: string[], options: { arch?: string; json?: boolean }) => {
      const { why } = await import('../commands/why.ts');
      const explanations = await why(caller, { services, arch: options.arch });
      const { reasonText } = await import('./reasons.ts');
      print(
        options.json
          ? JSON.stringify(explanations, undefined, 2)
          : explanations.map((explanation) => reasonText(explanation, caller.folder)).join('\n'),
      );
    });

  root
    .command('graph')
    .description('show the steps of services, and what a build would do with each')
    .argument('<service...>', 'names of services')
    .option('-a, --arch <arch>', "amd64, i386 or evbarm-aarch64; by default the host's")
    .option('--dot', 'for Graphviz')
    .option('--mermaid', 'for Markdown')
    .option('--json', 'print JSON')
    .action(
      async (services: string[], options: { arch?: string; dot?: boolean; mermaid?: boolean; json?: boolean }) => {
        const { plan } = await import('../commands/forecast.ts');
        const steps = await plan(caller, { services, arch: options.arch });
        const { dot, mermaid, textTree } = await import('./graphs.ts');
        if (options.json) print(JSON.stringify(steps, undefined, 2));
        else print((options.dot ? dot : options.mermaid ? mermaid : textTree)(steps));
      },
    );

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
    .command('init')
    .description('start a project in this directory')
    .argument('[service]', 'name of its first service', 'hello')
    .action(async (service: string) => {
      const { init } = await import('../commands/init.ts');
      for (const file of await init(caller, service)) print(`wrote ${file}`);
      print(`now: smol run ${service}`);
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

  for (const command of [root, ...root.commands]) {
    command.exitOverride((error) => {
      // Help that was asked for, or that is the answer to no command at all.
      if (error.exitCode === 0 || error.code === 'commander.help') throw error;
      throw usage(error.message.replace(/^error: /, ''), hint(error.code, error.message, root, command));
    });
  }
  return root;
}

interface BuildFlags {
  arch?: string;
  frozen?: boolean;
  offline?: boolean;
  keepGoing?: boolean;
  jobs?: string;
  dryRun?: boolean;
  json?: boolean;
}

interface RunFlags extends Pick<BuildFlags, 'frozen' | 'offline'> {
  arch?: string;
  detach?: boolean;
  name?: string;
  memory?: string;
  cpus?: string;
  port?: string[];
  append?: string;
  share?: string;
  timeout?: string;
  direct?: boolean;
  json?: boolean;
}

function checkedBy(form: RegExp, what: string) {
  return (value: string): string => {
    if (!form.test(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };
}

const FORWARD = /^((\d{1,3}\.){3}\d{1,3}:)?\d{1,5}:\d{1,5}(\/(tcp|udp))?$/;

function forward(value: string, before: string[] | undefined): string[] {
  if (!FORWARD.test(value)) throw new InvalidArgumentError('It must be [address:]host:guest[/udp], such as 8080:80.');
  return [...(before ?? []), value];
}

/** What to do about a mistake that commander found. */
function hint(code: string, message: string, root: Command, command: Command): string {
  const word = /'([^']+)'/.exec(message)?.[1] ?? '';
  const known =
    code === 'commander.unknownCommand'
      ? root.commands.map((each) => each.name())
      : code === 'commander.unknownOption'
        ? command.options.flatMap((option) => option.long ?? [])
        : [];
  const guess = nearest(word, known);
  const help = `see \`smol ${command === root ? '' : `${command.name()} `}--help\``;
  return guess === undefined ? help : `did you mean ${guess}? Or ${help}`;
}
