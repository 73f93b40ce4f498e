import type { ComponentChildren } from 'preact';
import type { ProblemParts } from '../../model/problem.ts';

/** Small parts that all views share. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function size(bytes: number): string {
  const n = bytes === 0 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** n).toFixed(n < 2 ? 0 : 1).replace(/\.0$/, '')} ${UNITS[n]}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
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
