import type { ComponentChildren } from 'preact';
import type { ProblemParts } from '../../model/problem.ts';
import { duration } from '../../model/words.ts';

/** Small parts that all views share. */

const HOUR_MS = 3_600_000;

/** How long a VM has run, which can be days. */
export function uptime(ms: number): string {
  return ms < HOUR_MS ? duration(ms) : `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / 60_000)} min`;
}

/** The words of a list that somebody typed. */
export function wordsIn(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

/** What is wrong, where, and what to do: as the command line says it. */
export function ProblemList({ problems }: { problems: readonly ProblemParts[] }) {
  return (
    <div role="alert">
      {problems.map(({ code, message, place, label, detail, fix }) => (
        <div class="problem" key={message}>
          <strong>{message}</strong> <code>{code}</code>
          {place && (
            <pre>
              {`${place.file}:${place.line}:${place.column}\n${place.source}\n${' '.repeat(place.column - 1)}${'^'.repeat(place.length)}${label ? ` ${label}` : ''}`}
            </pre>
          )}
          {detail && <pre>{detail}</pre>}
          {fix && <p>{fix}</p>}
        </div>
      ))}
    </div>
  );
}

/** A line through the last values, as high as `most`. */
export function Spark({ values, most, label }: { values: readonly number[]; most: number; label: string }) {
  const points = values.map(
    (value, n) => `${(n * 60) / Math.max(1, values.length - 1)},${16 - (15 * Math.min(value, most)) / most}`,
  );
  return (
    <span class="spark" title={label}>
      <svg viewBox="0 0 60 17" role="img" aria-label={label}>
        <polyline points={points.join(' ')} />
      </svg>
      {label}
    </span>
  );
}

export function Panel({
  title,
  tools,
  children,
}: {
  title: string;
  tools?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel">
      <header>
        <h2>{title}</h2>
        <div class="tools">{tools}</div>
      </header>
      {children}
    </section>
  );
}
