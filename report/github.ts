import { appendFileSync } from 'node:fs';
import path from 'node:path';
import type { Event } from '../model/event.ts';
import { bytes, duration } from '../model/words.ts';
import type { Reporter } from './reporter.ts';

/** What GitHub Actions makes more of: annotations at the lines of manifests, and a table in the summary of the job. */
export function githubReporter(
  inner: Reporter,
  out: NodeJS.WritableStream,
  cwd: string,
  summary: string | undefined,
): Reporter {
  const rows: string[] = [];
  return {
    report: (event: Event) => {
      inner.report(event);
      if (event.type === 'problem') {
        const { message, place, code } = event.problem.parts;
        const at =
          place === undefined ? '' : `file=${path.relative(cwd, place.file)},line=${place.line},col=${place.column},`;
        out.write(`::error ${at}title=${code}::${escaped(message)}\n`);
      }
      if (event.type === 'image')
        rows.push(`| ${event.target} | ${bytes(event.size)} | ${event.cached ? 'up to date' : 'built'} |`);
      if (event.type === 'build-finished' && event.ok && summary !== undefined) {
        const table = ['| image | size | |', '|---|---:|---|', ...rows].join('\n');
        appendFileSync(summary, `${table}\n\n${event.ran} steps run, ${event.cached} cached, ${duration(event.ms)}\n`);
      }
    },
    close: () => inner.close(),
  };
}

/** Workflow commands are one line each. */
function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
