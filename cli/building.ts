import type { Command } from 'commander';
import { writeAtomically } from '../host/files.ts';
import { usage } from '../model/problems.ts';
import { ARCH_HELP, cacheOption, checkedBy, requireCacheOption } from './arguments.ts';
import type { Context } from './context.ts';

interface BuildFlags {
  arch?: string;
  frozen?: boolean;
  offline?: boolean;
  keepGoing?: boolean;
  jobs?: string;
  dryRun?: boolean;
  watch?: boolean;
  verify?: boolean;
  cache?: string;
  requireCache?: boolean;
  svcimg?: string;
  json?: boolean;
}

interface GraphFlags {
  arch?: string;
  dot?: boolean;
  mermaid?: boolean;
  svg?: string;
  json?: boolean;
}

/** The commands that build, and that explain what was or would be built. */
export function addBuilding(root: Command, context: Context): void {
  const { caller, print } = context;
  root.commandsGroup('Build images:');
  root
    .command('build')
    .description('make the images of services')
    .argument('<service...>', 'their names')
    .option('-a, --arch <arch>', `${ARCH_HELP}; or all`)
    .option('-k, --keep-going', 'after a failure, go on with what does not depend on it')
    .option(
      '-j, --jobs <n>',
      'how many steps compute, or write, at once',
      checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'),
    )
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .addOption(cacheOption())
    .addOption(requireCacheOption())
    .option('-w, --watch', 'build again whenever something that it is made of was saved')
    .option('--verify', 'run every step again elsewhere, and compare what comes out byte for byte')
    .option('--dry-run', 'only say what would be done')
    .option('--svcimg <image>', "the image to bake in the service's VM: the same as smol imgbuilder <image>")
    .option('--json', 'print events as JSON, one a line')
    .action(async (services: string[], options: BuildFlags) => {
      if (options.dryRun) {
        const { plan } = await import('../commands/forecast.ts');
        const found = await plan(caller, { services, arch: options.arch });
        print(options.json ? JSON.stringify(found, undefined, 2) : (await import('./graphs.ts')).dryRun(found));
        return;
      }
      context.tellAs(options);
      const wanted = { ...options, services, jobs: options.jobs === undefined ? undefined : Number(options.jobs) };
      const { svcimg: image, ...how } = options;
      if (image !== undefined) {
        const [builder = '', ...more] = services;
        if (more.length > 0) throw usage('--svcimg goes with one service, whose VM bakes', 'leave the others out');
        await (await import('../commands/imgbuilder.ts')).bakeImage(caller, {
          ...how,
          jobs: wanted.jobs,
          image,
          builder,
        });
        return;
      }
      if (options.watch && options.verify) throw usage('--watch and --verify do not go together', 'give one of them');
      if (options.watch) await (await import('../commands/watch.ts')).watchBuild(caller, wanted);
      else if (options.verify) await (await import('../commands/verify.ts')).verify(caller, wanted);
      else await (await import('../commands/build.ts')).build(caller, wanted);
    });

  root
    .command('imgbuilder')
    .description('bake the image of a service in a VM: one with postinst: {in: builder}')
    .argument('<service>', 'its name, in smolBSD SVCIMG')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--frozen', 'take nothing that is not pinned yet')
    .option('--offline', 'take nothing from the network')
    .option('--json', 'print events as JSON, one a line')
    .action(async (image: string, options: { arch?: string; frozen?: boolean; offline?: boolean; json?: boolean }) => {
      context.tellAs(options);
      await (await import('../commands/imgbuilder.ts')).bakeImage(caller, { ...options, image });
    });

  root
    .command('shell')
    .description('open a shell where a script of a service works, in the tree that it gets, confined as it is')
    .argument('<service>', 'its name')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--at <script>', 'which one, by the end of its name; by default the one that failed, or else the last')
    .action(async (service: string, options: { arch?: string; at?: string }) => {
      const { shell } = await import('../commands/shell.ts');
      const { sitDown } = await import('./keyboard.ts');
      context.exitCode = await shell(caller, { ...options, service, sitDown });
    });

  root
    .command('why')
    .description('say why the last build ran what it ran')
    .argument('<service...>', 'names of services')
    .option('-a, --arch <arch>', ARCH_HELP)
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
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--dot', 'for Graphviz')
    .option('--mermaid', 'for Markdown')
    .option('--svg <file>', 'as a drawing, into a file')
    .option('--json', 'print JSON')
    .action(async (services: string[], options: GraphFlags) => {
      const { plan } = await import('../commands/forecast.ts');
      const { steps, predicted } = await plan(caller, { services, arch: options.arch });
      if (options.svg !== undefined) {
        const { svg } = await import('./drawing.ts');
        writeAtomically(options.svg, svg(steps));
        print(`wrote ${options.svg}`);
        return;
      }
      const { dot, mermaid, textTree } = await import('./graphs.ts');
      if (options.json) print(JSON.stringify({ steps, predicted }, undefined, 2));
      else print((options.dot ? dot : options.mermaid ? mermaid : textTree)(steps));
    });

  const step = root.command('step').description('do one step: what executors and exported graphs call');
  step
    .command('build')
    .description('build one step of a service and what it needs')
    .argument('<step>', 'its name, as smol graph tells it')
    .requiredOption('--for <service>', 'a service that has it')
    .option('-a, --arch <arch>', ARCH_HELP)
    .requiredOption('--stamp <file>', 'a file for the digest of what it made; touched only where that has changed')
    .option('--told <digest>', 'what the step was told when its graph was written; not looked at')
    .action(async (name: string, options: { for: string; arch?: string; stamp: string }) => {
      const { buildStep } = await import('../commands/exports.ts');
      await buildStep(caller, { ...options, step: name, service: options.for });
    });
  step
    .command('run')
    .description('run one step by its key: all that it is made of comes from the cache')
    .argument('<key>', 'its key, as smol graph --json tells it', checkedBy(/^[0-9a-f]{64}$/, '64 digits'))
    .option('--name <name>', 'what it is called')
    .option('--publish <file>', 'where the file goes that it makes: an image')
    .option('--json', 'print events as JSON, one a line')
    .action(async (key: string, options: { name?: string; publish?: string; json?: boolean }) => {
      context.tellAs(options);
      const { runStep } = await import('../commands/step.ts');
      const { output } = await runStep(caller, { ...options, key });
      if (!options.json) print(`${output.kind} ${output.digest}`);
    });

  root
    .command('trace')
    .description('say what the last build spent its time on')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => {
      const { trace } = await import('../commands/trace.ts');
      const report = await trace(caller);
      print(options.json ? JSON.stringify(report, undefined, 2) : (await import('./tables.ts')).traceText(report));
    });
}
