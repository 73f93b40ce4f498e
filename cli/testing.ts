import { type Command, Option } from 'commander';
import type { BootBenchReport } from '../commands/bootbench.ts';
import type { TestReport } from '../commands/test.ts';
import { writeAtomically } from '../host/files.ts';
import { ARCH_HELP, cacheOption, checkedBy, requireCacheOption } from './arguments.ts';
import type { Context } from './context.ts';
import { columns } from './tables.ts';

interface TestFlags {
  arch?: string;
  again?: boolean;
  junit?: string;
  json?: boolean;
  frozen?: boolean;
  offline?: boolean;
  cache?: string;
  requireCache?: boolean;
}

interface BenchFlags {
  arch?: string;
  count: string;
  against?: string;
  image?: string;
  kernel?: string;
  accel?: 'kvm' | 'nvmm' | 'hvf' | 'tcg';
  json?: boolean;
}

/** The commands that boot VMs to find something out. */
export function addTesting(root: Command, context: Context): void {
  const { caller, print } = context;
  root.commandsGroup('Test and measure them:');
  root
    .command('test')
    .description('build services, boot each, and do its checks; exits with 1 if any fails')
    .argument('<service...>', 'their names')
    .option('-a, --arch <arch>', `${ARCH_HELP}; or all`)
    .option('--again', 'boot even what has passed before as it is')
    .option('--junit <file>', 'write a report for CI, in the XML of JUnit')
    .option('--frozen', 'take nothing that is not pinned yet; the default where CI=true and there are pins')
    .option('--no-frozen', 'pin what is new, in CI too')
    .option('--offline', 'take nothing from the network')
    .addOption(cacheOption())
    .addOption(requireCacheOption())
    .option('--json', 'print the report as JSON')
    .action(async (services: string[], options: TestFlags) => {
      const { test } = await import('../commands/test.ts');
      const told = options.json ? { ...caller, emit: () => undefined } : caller;
      const reports = await test(told, { ...options, services });
      if (options.junit !== undefined) writeAtomically(options.junit, junit(reports));
      if (options.json) print(JSON.stringify(reports, undefined, 2));
      if (reports.some(({ ok }) => !ok)) context.exitCode = 1;
    });

  root
    .command('bench')
    .description('measure how fast services boot')
    .command('boot')
    .description(
      'boot a service many times, and say how long that takes: to the console, to user land, until it answers',
    )
    .argument('<service>', 'its name')
    .option('-a, --arch <arch>', ARCH_HELP)
    .option('-n, --count <n>', 'how often', checkedBy(/^[1-9]\d{0,3}$/, 'a number'), '10')
    .option('--against <service>', 'another service to boot in turn with it')
    .option('--image <file>', 'or the same one with another image')
    .option('--kernel <file>', 'or with another kernel')
    .addOption(
      new Option('--accel <name>', 'instead of what a probe finds to work').choices(['kvm', 'nvmm', 'hvf', 'tcg']),
    )
    .option('--json', 'print JSON')
    .action(async (service: string, { count, against, image, kernel, ...options }: BenchFlags) => {
      const { benchBoot } = await import('../commands/bootbench.ts');
      const other = against ?? image ?? kernel;
      const told = options.json ? { ...caller, emit: () => undefined } : caller;
      const report = await benchBoot(told, {
        ...options,
        service,
        count: Number(count),
        against: other === undefined ? undefined : { service: against, image, kernel },
      });
      print(options.json ? JSON.stringify(report, undefined, 2) : bootTable(report));
    });
}

/** Clocks in columns: a row for each of them and each subject, and how the second subject compares with the first. */
function bootTable({ host, accelerator, subjects, trace }: BootBenchReport): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  const rows = (['console', 'userland', 'ready'] as const).flatMap((clock) =>
    subjects.flatMap(({ name, clocks }) => {
      const spread = clocks[clock];
      if (spread === undefined) return [];
      const first = subjects[0]!.clocks[clock];
      const beside = subjects.length > 1 && first !== undefined ? `${(spread.p50 / first.p50).toFixed(2)}x` : '';
      return [[clock, name, ms(spread.min), ms(spread.p50), ms(spread.p95), beside]];
    }),
  );
  return [
    `${host.system}, ${host.cpu}, ${host.cores} cores; QEMU ${host.qemu}, ${accelerator}; ${subjects[0]!.runs.length} boots each`,
    columns([['CLOCK', 'OF', 'MIN', 'P50', 'P95', ''], ...rows]),
    ...(trace === undefined ? [] : [`the kernel's own times: open ${trace} in chrome://tracing or ui.perfetto.dev`]),
  ].join('\n');
}

/** A report in the XML that CIs read: a suite for each target. */
function junit(reports: readonly TestReport[]): string {
  const inXml = (text: string) =>
    text
      .replaceAll(/[^\P{Cc}\n\t]/gu, '')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;');
  const suites = reports.map(({ target, checks, console }) => {
    const failures = checks.filter(({ failure }) => failure !== undefined).length;
    const cases = checks.map(({ name, ms, failure }) => {
      const body =
        failure === undefined ? '' : `<failure message="${inXml(failure.split('\n')[0]!)}">${inXml(failure)}</failure>`;
      return `    <testcase classname="${inXml(target)}" name="${inXml(name)}" time="${(ms / 1000).toFixed(3)}">${body}</testcase>`;
    });
    const output = console === undefined ? [] : [`    <system-out>${inXml(console)}</system-out>`];
    const head = `  <testsuite name="${inXml(target)}" tests="${checks.length}" failures="${failures}">`;
    return [head, ...cases, ...output, '  </testsuite>'].join('\n');
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('\n')}\n</testsuites>\n`;
}
