import type { Command } from 'commander';
import { EXIT_CODES } from '../model/problem.ts';
import { ARCH_HELP, checkedBy } from './arguments.ts';
import type { Context } from './context.ts';

interface LookFlags {
  arch?: string;
  json?: boolean;
}

const IMAGE_HELP = 'a path, or the name of a service that was built';

/** The commands that look into images. */
export function addLooking(root: Command, context: Context): void {
  const { caller, print } = context;
  const json = (value: unknown) => print(JSON.stringify(value, undefined, 2));

  root.commandsGroup('Look into them:');
  root
    .command('ls')
    .description('list what an image has in a directory')
    .argument('<image>', IMAGE_HELP)
    .argument('[path]', 'a path in it', '/')
    .option('-r, --recursive', 'and in all directories below')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--json', 'print JSON')
    .action(async (image: string, at: string, options: LookFlags & { recursive?: boolean }) => {
      const { list } = await import('../commands/images.ts');
      const entries = await list(caller, image, at, options);
      if (options.json) json(entries);
      else if (entries.length > 0) print((await import('./images.ts')).listing(entries));
    });

  root
    .command('cat')
    .description('write a file of an image to standard output')
    .argument('<image>', IMAGE_HELP)
    .argument('<path>', 'its path in the image; symbolic links are followed')
    .option('-a, --arch <arch>', ARCH_HELP)
    .action(async (image: string, at: string, options: LookFlags) => {
      const { cat } = await import('../commands/images.ts');
      await cat(caller, image, at, options.arch, context.write);
    });

  root
    .command('diff')
    .description('say what differs between two images, and what brought it; exits with 1 if anything does')
    .argument('<image>', IMAGE_HELP)
    .argument('<other>', 'another one')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--json', 'print JSON')
    .action(async (image: string, other: string, options: LookFlags) => {
      const { diff } = await import('../commands/diff.ts');
      const found = await diff(caller, [image, other], options.arch);
      if (options.json) json(found);
      else print((await import('./images.ts')).differenceText(found));
      if (found.changes.length > 0 || found.byte !== undefined) context.exitCode = 1;
    });

  root
    .command('verify')
    .description('check an image: partition table, file system, every byte, and what the sets say of their files')
    .argument('<image>', IMAGE_HELP)
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('--json', 'print JSON')
    .action(async (image: string, options: LookFlags) => {
      const { check } = await import('../commands/check.ts');
      const report = await check(caller, image, options.arch);
      if (options.json) json({ ...report, replaced: Object.fromEntries(report.replaced) });
      else print((await import('./images.ts')).checkText(report));
      if (report.wrong.length > 0) context.exitCode = EXIT_CODES.integrity;
    });

  root
    .command('du')
    .description('say what fills an image: by directory, and by what brought it')
    .argument('<image>', IMAGE_HELP)
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-d, --depth <n>', 'how deep', checkedBy(/^[1-9]\d?$/, 'a number from 1 to 99'), '2')
    .option('--json', 'print JSON')
    .action(async (image: string, { depth, ...options }: LookFlags & { depth: string }) => {
      const { usage } = await import('../commands/usage.ts');
      const report = await usage(caller, image, { ...options, depth: Number(depth) });
      if (options.json) json(report);
      else print((await import('./images.ts')).usageText(report));
    });

  root
    .command('image')
    .description('make an image larger, in place')
    .command('grow')
    .description('make an image, and the last partition in it, larger; the guest makes its file system larger')
    .argument('<image>', IMAGE_HELP)
    .argument('<size>', 'by how much, such as +4G', checkedBy(/^\+?[1-9]\d{0,5}[MG]$/, 'a size such as +4G'))
    .option('-a, --arch <arch>', ARCH_HELP)
    .action(async (image: string, size: string, options: LookFlags) => {
      const { grow } = await import('../commands/grow.ts');
      const growth = await grow(caller, image, size.replace('+', ''), options.arch);
      print((await import('./images.ts')).growthText(growth, caller.folder));
    });
}
