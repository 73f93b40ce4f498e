import type { Command } from 'commander';
import type { TestReport } from '../commands/test.ts';
import { writeAtomically } from '../host/files.ts';
import { ARCH_HELP } from './arguments.ts';
import type { Context } from './context.ts';

interface TestFlags {
  arch?: string;
  again?: boolean;
  junit?: string;
  json?: boolean;
  frozen?: boolean;
  offline?: boolean;
}

/** The commands that boot VMs to find something out. */
export function addTesting(root: Command, context: Context): void {
  const { caller, print } = context;
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
    .option('--json', 'print the report as JSON')
    .action(async (services: string[], options: TestFlags) => {
      const { test } = await import('../commands/test.ts');
      const told = options.json ? { ...caller, emit: () => undefined } : caller;
      const reports = await test(told, { ...options, services });
      if (options.junit !== undefined) writeAtomically(options.junit, junit(reports));
      if (options.json) print(JSON.stringify(reports, undefined, 2));
      if (reports.some(({ ok }) => !ok)) context.exitCode = 1;
    });
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
