import type { Reporter } from './reporter.ts';

/** One event a line, as it is; bytes of a console as text. */
export function jsonReporter(out: NodeJS.WritableStream): Reporter {
  return {
    report: (event) => {
      const plain =
        event.type === 'vm-console' ? { ...event, bytes: Buffer.from(event.bytes).toString('utf8') } : event;
      out.write(`${JSON.stringify(plain)}\n`);
    },
    close: () => undefined,
  };
}
