import { useCallback, useEffect, useState } from 'preact/hooks';
import type { Event } from '../../model/event.ts';
import type { ProblemParts } from '../../model/problem.ts';
import type { PageBuild } from '../builds.ts';

/** What the page asks of the server, and what that tells by itself. */

export type Message =
  | { type: 'build'; build: PageBuild }
  | { type: 'build-event'; build: number; event: Event }
  | { type: 'vm-event'; vm: string; event: Event }
  | { type: 'vm-failed'; vm: string; problems: ProblemParts[] }
  | { type: 'bug'; text: string }
  | { type: 'lost'; count: number };

/** What the server refused, in its words. */
export class Refused extends Error {
  readonly problems: readonly ProblemParts[];
  constructor(problems: readonly ProblemParts[]) {
    super(problems.map(({ message }) => message).join('\n'));
    this.problems = problems;
  }
}

export async function ask<T>(path: string, method = 'GET', body?: unknown): Promise<T> {
  const changes =
    method === 'GET' ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) };
  const response = await fetch(`/api/v1${path}`, { method, ...changes });
  if (response.ok) return (await response.json()) as T;
  const text = await response.text();
  throw new Refused(problemsIn(text) ?? [{ code: 'refused', kind: 'usage', message: text.trim() }]);
}

function problemsIn(text: string): ProblemParts[] | undefined {
  try {
    return (JSON.parse(text) as { problems?: ProblemParts[] }).problems;
  } catch {
    return undefined;
  }
}

const listeners = new Set<(message: Message) => void>();
let source: EventSource | undefined;

/** Calls back for all that the server tells. The browser connects again by itself. */
export function useMessages(hear: (message: Message) => void): void {
  useEffect(() => {
    source ??= new EventSource('/api/v1/events');
    source.onmessage = ({ data }) => {
      for (const message of JSON.parse(data) as Message[]) for (const listener of listeners) listener(message);
    };
    listeners.add(hear);
    return () => void listeners.delete(hear);
  }, [hear]);
}

/** The answer to a question, asked again when told to, or every so many milliseconds while the page is seen. */
export function useAnswer<T>(
  path: string | undefined,
  every?: number,
): { value?: T; error?: Refused; again: () => void } {
  const [state, setState] = useState<{ path?: string; value?: T; error?: Refused }>({});
  const again = useCallback(() => {
    if (path === undefined) return;
    ask<T>(path).then(
      (value) => setState({ path, value }),
      // What was known of the same thing stays in sight.
      (error: Refused) => setState((before) => (before.path === path ? { ...before, error } : { path, error })),
    );
  }, [path]);
  useEffect(() => {
    again();
    if (every === undefined) return undefined;
    const timer = setInterval(() => document.visibilityState === 'visible' && again(), every);
    return () => clearInterval(timer);
  }, [again, every]);
  return state.path === path ? { ...state, again } : { again };
}
