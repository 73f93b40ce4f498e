import { type Command, InvalidArgumentError, Option } from 'commander';
import { usage } from '../model/problems.ts';
import { FORWARD } from '../vm/machine.ts';
import { ARCH_HELP, cacheOption, checkedBy, requireCacheOption } from './arguments.ts';
import type { Context } from './context.ts';

interface RunFlags {
  conf?: string;
  arch?: string;
  key?: string;
  image?: string;
  kernel?: string;
  initrd?: string;
  frozen?: boolean;
  offline?: boolean;
  cache?: string;
  requireCache?: boolean;
  detach?: boolean;
  keep?: boolean;
  fresh?: boolean;
  resume?: boolean;
  name?: string;
  memory?: string;
  cpus?: string;
  port?: string[];
  drive?: string[];
  append?: string;
  root?: string;
  share?: string;
  shareRw?: boolean;
  var?: Record<string, string>;
  file?: Record<string, string>;
  serial?: string;
  consoles?: string;
  pty?: boolean;
  /** commander's form of --no-network. */
  network?: boolean;
  bridge?: string;
  imageAsInitrd?: boolean;
  accel?: 'kvm' | 'nvmm' | 'hvf' | 'tcg';
  timeout?: string;
  grow?: string;
  direct?: boolean;
  watch?: boolean;
  exec?: string;
  in?: string;
  out?: string;
  outSize?: string;
  print?: boolean;
  vmm?: 'qemu' | 'firecracker';
  json?: boolean;
}

function forward(value: string, before: string[] | undefined): string[] {
  const all = value.split(',');
  for (const each of all) {
    if (!FORWARD.test(each)) throw new InvalidArgumentError('It must be [address:]host:guest[/udp], such as 8080:80.');
  }
  return [...(before ?? []), ...all];
}

function several(value: string, before: string[] | undefined): string[] {
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

const growOption = () =>
  new Option('--grow <size>', 'make a new disk of its own so much larger than the image, such as 4G').argParser(
    checkedBy(/^[1-9]\d{0,5}[MG]$/, 'a size such as 4G'),
  );

const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));

/** The commands that start VMs. */
export function addRunning(root: Command, context: Context): void {
  root.commandsGroup('Run them:');
  root
    .command('run')
    .description('build a service, boot it and wait until it answers; ^C stops it')
    .argument(
      '[service]',
      'its name, or host/name[:tag] of an image in a registry; without one, --kernel and --image need no project',
    )
    .argument('[extra...]', 'after --: more arguments for QEMU, as they are')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-f, --conf <file>', "settings of smolBSD's startnb.sh, which are read and not run")
    .option('-d, --detach', 'leave the VM running when the service answers')
    .option(
      '-n, --name <name>',
      "name of the VM; by default the service's",
      checkedBy(/^\w[\w.-]{0,62}$/, 'a short word'),
    )
    .option('-m, --memory <size>', 'memory, such as 256M', checkedBy(/^[1-9]\d*[MG]$/, 'a size such as 256M'))
    .option('-c, --cpus <n>', 'virtual processors', checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'))
    .option('-p, --port <forward>', "[address:]host:guest[/udp] instead of the service's; may be repeated", forward)
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
    .option('-w, --watch', 'build and start again whenever something that it is made of was saved')
    .optionsGroup('Its disk:')
    .option('--keep', 'keep the VM, with its disk, when it stops; --detach does so too')
    .option('--fresh', 'begin anew with an empty disk of its own')
    .option('--resume', 'go on with the disk of its own, though its image was built anew since')
    .addOption(growOption())
    .option('--direct', 'let the guest write to the image itself, not to a disk of its own')
    .option('--key <file>', 'of an image in a registry: run it only if the owner of this public key has signed it')
    .option('--image <file>', "an image to boot instead of the service's")
    .option('--drive <file>', 'one more disk, raw or qcow2; may be repeated', several)
    .option('--share-rw', 'do not lock the image')
    .option('--image-as-initrd', 'load the image into memory, as an initial RAM disk')
    .optionsGroup('Its kernel and processor:')
    .option('--kernel <file>', "a kernel to boot instead of the service's")
    .option('--initrd <file>', 'an initial RAM disk for it')
    .option('--append <words>', "words to add to the kernel's command line")
    .option('--root <device>', 'what the kernel takes as its root, such as NAME=webroot')
    .addOption(
      new Option('--accel <name>', 'instead of what a probe finds to work').choices(['kvm', 'nvmm', 'hvf', 'tcg']),
    )
    .optionsGroup('Its lines to the host:')
    .option('--no-network', 'no network at all')
    .option('--bridge <name>', "a second network interface, on a bridge of the host's")
    .option('--share <directory>', 'a directory for the guest, by 9p')
    .option(
      '--serial <port>',
      '[address:]port of the host, at which a serial line answers to telnet',
      checkedBy(/^((\d{1,3}\.){3}\d{1,3}:)?\d{1,5}$/, 'a port such as 5555'),
    )
    .option(
      '--consoles <n>',
      'so many virtio consoles more, each a socket',
      checkedBy(/^[0-9]$|^[12][0-9]$|^30$/, 'a number from 0 to 30'),
    )
    .option('--pty', 'one more console at a new pseudo-terminal')
    .optionsGroup('A job, in place of what the service does:')
    .option('--exec <script>', "a script for the guest's sh; smol exits with what it exits with")
    .option('--in <directory>', 'what the script finds in its working directory')
    .option('--out <directory>', 'where to put what the script leaves in $OUT')
    .option(
      '--out-size <size>',
      'how much that may be; by default 1G',
      checkedBy(/^[1-9]\d{0,5}[MG]$/, 'a size such as 1G'),
    )
    .optionsGroup('How it is done:')
    .option(
      '--timeout <seconds>',
      'how long the service may take to answer',
      checkedBy(/^[1-9]\d*$/, 'a number of seconds'),
    )
    .option('--print', 'only build, and print the command line of QEMU')
    .addOption(new Option('--vmm <name>', 'with --print: what is to run it').choices(['qemu', 'firecracker']))
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .addOption(cacheOption())
    .addOption(requireCacheOption())
    .option('--json', 'print events as JSON, one a line')
    .action((first: string | undefined, rest: string[], options: RunFlags) => {
      // What follows -- may begin at once, where no service is named.
      const isExtra = first?.startsWith('-') ?? false;
      return isExtra ? start(context, undefined, [first!, ...rest], options) : start(context, first, rest, options);
    });

  root
    .command('live')
    .description('a whole NetBSD, as its live images have it, on a disk of its own: the service live, kept')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-d, --detach', 'leave it running when it asks who logs in')
    .option('-m, --memory <size>', 'memory, such as 2G', checkedBy(/^[1-9]\d*[MG]$/, 'a size such as 2G'))
    .option('-c, --cpus <n>', 'virtual processors', checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'))
    .option('-p, --port <forward>', '[address:]host:guest[/udp] instead of 22222:22; may be repeated', forward)
    .addOption(growOption())
    .option('--fresh', 'begin anew, with the image as it was published')
    .option('--resume', 'go on with its disk, though there is a newer image')
    .option('--print', 'only print the command line of QEMU')
    .option('--frozen', 'take nothing that is not pinned yet')
    .option('--offline', 'take nothing from the network')
    .option('--json', 'print events as JSON, one a line')
    .action((options: RunFlags) => start(context, 'live', [], { ...options, keep: true }));
}

/** Runs a service, or the files that the options name, as the options say. */
async function start(
  context: Context,
  service: string | undefined,
  extra: readonly string[],
  options: RunFlags,
): Promise<void> {
  const { caller, print } = context;
  context.tellAs(options);
  if (options.watch && options.detach)
    throw usage('--watch stays with the VM, and --detach leaves it', 'give one of them');
  if (options.watch && service === undefined) throw usage('--watch is for what is built', 'give the name of a service');
  if (options.exec === undefined && (options.in ?? options.out) !== undefined) {
    throw usage('--in and --out are for a job', 'give its script with --exec');
  }
  if (options.fresh && options.resume) throw usage('--fresh and --resume contradict each other', 'give one of them');
  if (options.grow && options.direct)
    throw usage('--grow is for a disk of its own', 'smol image grow makes an image itself larger');
  const { run, watchRun, machineToRun } = await import('../commands/run.ts');
  const {
    port,
    drive,
    cpus,
    consoles,
    timeout,
    var: vars,
    file: files,
    network,
    conf,
    json: _,
    watch: __,
    print: ___,
    ...others
  } = options;
  const given = {
    ...others,
    service,
    ports: port,
    drives: drive,
    vars,
    files,
    network: network === false ? ('none' as const) : undefined,
    extra: extra.length > 0 ? [...extra] : undefined,
    cpus: number(cpus),
    consoles: number(consoles),
    timeout: number(timeout),
  };
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const base =
    conf === undefined ? {} : await (await import('../commands/conf.ts')).optionsOfConf(caller, conf, options.arch);
  const wanted = { ...base, ...known };
  if (options.print || options.vmm === 'firecracker') {
    const machine = await machineToRun(caller, wanted);
    print((await import('./commandlines.ts')).commandText(machine, options.vmm ?? 'qemu', options));
    return;
  }
  if (options.exec !== undefined) {
    const { runJob } = await import('../commands/job.ts');
    context.exitCode = await runJob(caller, { ...wanted, exec: options.exec });
    return;
  }
  const { openKeyboard } = await import('./keyboard.ts');
  using keyboard = options.detach || options.json ? undefined : openKeyboard(() => context.interrupt());
  const input = keyboard?.input;
  if (options.watch) await watchRun(caller, { ...wanted, service: service!, input });
  else await run(caller, { ...wanted, input });
}
