import type { Event } from '../model/event.ts';
import type { Reporter } from './reporter.ts';

/** What tells of the parts of a build: of the first one only. */
const PARTS: readonly Event['type'][] = [
  'build-started',
  'step-started',
  'step-progress',
  'step-finished',
  'step-log',
  'image',
  'build-finished',
];

/** For who watches: after the first build, one line of result for each. */
export function terseReporter(inner: Reporter): Reporter {
  let isWatching = false;
  return {
    report: (event) => {
      if (event.type === 'watching') isWatching = true;
      if (!isWatching || !PARTS.includes(event.type)) inner.report(event);
    },
    close: () => inner.close(),
  };
}
