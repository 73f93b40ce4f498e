import path from 'node:path';
import { type Command, Option } from 'commander';
import type { Engine } from '../commands/deploy.ts';
import { writeAtomically } from '../host/files.ts';
import { usage } from '../model/problems.ts';
import { bytes, either } from '../model/words.ts';
import { ARCH_HELP, cacheOption, checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

interface PushFlags {
  arch?: string;
  sign?: string;
  frozen?: boolean;
  offline?: boolean;
  cache?: string;
  json?: boolean;
}

interface DeployFlags {
  to: Engine;
  arch?: string;
  output?: string;
  replicas?: string;
  prefix?: string;
  container?: string;
  accel?: 'kvm' | 'tcg';
  frozen?: boolean;
}

const REFERENCE_HELP = 'host[:port]/name[:tag], or only name[:tag] where smol.config.yaml names a registry';

/** The commands that exchange images with other machines. */
export function addSharing(root: Command, context: Context): void {
  const { caller, print } = context;
  root.commandsGroup('Share them:');
  root
    .command('push')
    .description(
      'build a service, and store its image in a registry with its kernel, its provenance and what it is made of',
    )
    .argument('<service[:tag]>', 'its name, and a tag; by default latest')
    .argument('[reference]', REFERENCE_HELP)
    .option('-a, --arch <arch>', `${ARCH_HELP}; or all, under one tag`)
    .option('--sign <file>', 'sign it, as cosign does, with a private key as PEM')
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .option('--no-frozen', 'pin what is new, in CI too')
    .addOption(cacheOption())
    .option('--json', 'print events as JSON, one a line, and then what was pushed')
    .action(async (image: string, to: string | undefined, options: PushFlags) => {
      context.tellAs(options);
      const { push } = await import('../commands/push.ts');
      const pushed = await push(caller, { ...options, image, to });
      const { reference, digest, sent } = pushed;
      print(options.json ? JSON.stringify(pushed) : `${reference} ${digest}, ${bytes(sent)} sent`);
    });

  root
    .command('pull')
    .description('bring an image of a registry to this host; smol run takes one by its name too')
    .argument('<reference>', REFERENCE_HELP)
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--key <file>', 'take it only if the owner of this public key has signed it')
    .option('-o, --output <directory>', 'copy its disk, its kernel and its initial RAM disk there')
    .option('--json', 'print events as JSON, one a line, and then what was pulled')
    .action(async (reference: string, options: { arch?: string; key?: string; output?: string; json?: boolean }) => {
      context.tellAs(options);
      const { pull, unpackPulled } = await import('../commands/pull.ts');
      const pulled = await pull(caller, { ...options, reference });
      const to = options.output && path.resolve(caller.folder, options.output);
      const files = to === undefined ? [pulled.disk] : await unpackPulled(pulled, to);
      if (options.json) print(JSON.stringify({ ...pulled, files }));
      else print(`${files.join('\n')}\n${pulled.digest}, ${bytes(pulled.received)} received`);
    });

  root
    .command('images')
    .description('list the images that were built here, or those of a registry')
    .option('--remote <repository>', 'those that a repository of a registry has: host[:port]/name')
    .option('--json', 'print JSON')
    .action(async (options: { remote?: string; json?: boolean }) => {
      const { imageTable, remoteTable } = await import('./tables.ts');
      if (options.remote === undefined) {
        const { listImages } = await import('../commands/imagelist.ts');
        const images = await listImages(caller);
        print(options.json ? JSON.stringify(images, undefined, 2) : imageTable(images, caller.folder));
        return;
      }
      const { listRemote } = await import('../commands/remoteimages.ts');
      const images = await listRemote(caller, options.remote);
      print(options.json ? JSON.stringify(images, undefined, 2) : remoteTable(images));
    });

  root
    .command('deploy')
    .description('write what systemd, Kubernetes or Nomad needs to run a service, with its image and its kernel')
    .argument('<service>', 'its name')
    .addOption(
      new Option('--to <engine>', 'what is to run it')
        .choices(['systemd', 'kubernetes', 'nomad'])
        .makeOptionMandatory(),
    )
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-o, --output <directory>', 'where to; by default deploy/<service>-<engine>')
    .option('--replicas <n>', 'how many; by default 1', checkedBy(/^[1-9]\d{0,2}$/, 'a number from 1 to 999'))
    .option(
      '--prefix <directory>',
      'where the image and the kernel will be on the hosts',
      checkedBy(/^(\/[\w.-]+)+$/, 'an absolute path of plain letters'),
    )
    .option('--container <name>', 'for Kubernetes: where its container image goes, without name and tag')
    .addOption(new Option('--accel <name>', 'what the hosts have; by default kvm').choices(['kvm', 'tcg']))
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .action(async (service: string, options: DeployFlags) => {
      const { deploy } = await import('../commands/deploy.ts');
      if (options.arch === 'all')
        throw usage('what is deployed together is of one architecture', 'name it, and deploy the others apart');
      const { replicas, ...others } = options;
      const count = replicas === undefined ? undefined : Number(replicas);
      const { folder, files, next } = await deploy(caller, { ...others, service, replicas: count });
      const where = path.relative(caller.folder, folder) || '.';
      print(
        [...files.map((file) => `wrote ${path.join(where, file)}`), ...next.map((line) => `next: ${line}`)].join('\n'),
      );
    });

  root
    .command('export')
    .description('write the graph of services for another engine, which then builds them step by step')
    .argument('<engine>', 'ninja, make or github-actions')
    .argument('<service...>', 'names of services')
    .option('-a, --arch <arch>', `${ARCH_HELP}; or all`)
    .option(
      '-o, --output <file>',
      'where to; by default build.ninja, Makefile, .github/workflows/smol.yaml; - is standard output',
    )
    .action(async (engine: string, services: string[], options: { arch?: string; output?: string }) => {
      const to = options.output ?? OUTPUTS[engine];
      if (to === undefined || OUTPUTS[engine] === undefined)
        throw usage(`${engine} is no engine that smol knows`, `use ${either(Object.keys(OUTPUTS))}`);
      const text = await exported(context, engine, services, options.arch, to);
      if (to === '-') print(text.trimEnd());
      else {
        writeAtomically(path.resolve(caller.folder, to), text);
        print(`wrote ${to}`);
      }
    });
}

const OUTPUTS: Readonly<Record<string, string>> = {
  ninja: 'build.ninja',
  make: 'Makefile',
  'github-actions': '.github/workflows/smol.yaml',
};

async function exported(
  { caller }: Context,
  engine: string,
  services: readonly string[],
  arch: string | undefined,
  to: string,
): Promise<string> {
  const wanted = { services, arch };
  if (engine === 'github-actions') return (await import('../commands/workflow.ts')).workflow(caller, wanted);
  const { exportGraph } = await import('../commands/exports.ts');
  const { makeText, ninjaText } = await import('./exports.ts');
  const graph = await exportGraph(caller, wanted);
  const asked = [...services, ...(arch === undefined ? [] : ['--arch', arch])];
  return engine === 'make' ? makeText(graph) : ninjaText(graph, to, asked);
}
