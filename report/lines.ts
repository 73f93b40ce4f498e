import type { Reporter } from './reporter.ts';
import { sentence } from './sentences.ts';
import { styleFor } from './style.ts';

/** A line for each thing that happened, for logs. The guest's console goes to `out`, all else to `notes`. */
export function linesReporter(out: NodeJS.WritableStream, notes: NodeJS.WritableStream, cwd: string): Reporter {
  const style = styleFor(notes as NodeJS.WriteStream);
  return {
    report: (event) => {
      if (event.type === 'vm-console') {
        out.write(event.bytes);
        return;
      }
      const text = sentence(event, style, cwd);
      if (text !== undefined) notes.write(`${text}\n`);
    },
    close: () => undefined,
  };
}
