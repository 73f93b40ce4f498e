import path from 'node:path';
import { writeAtomically } from '../host/files.ts';
import type { Emit, Event } from '../model/event.ts';

/** The version of what is written below: the events of model/event.ts, each with `at`, milliseconds since the start. */
const SCHEMA = 'smol.events/1';

type Timed = Event & { readonly at: number };
type Finished = Extract<Timed, { type: 'step-finished' }>;

/** One step in a trace, as Chrome's format has it ("Trace Event Format", complete events): microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: 'X';
  readonly ts: number;
  readonly dur: number;
  readonly pid: 1;
  /** The lane that it is drawn in. */
  readonly tid: number;
  readonly args: {
    readonly cached: boolean;
    readonly bytes: number;
    readonly key: string;
    readonly inputs: readonly string[];
  };
}

/** Keeps the events of a build, and leaves them in the project: as NDJSON, and as a trace for chrome://tracing or Perfetto. */
export class Recorder {
  readonly #started = performance.now();
  readonly #date = new Date();
  readonly #events: Timed[] = [];

  /** An `emit` that records what it passes on. */
  around(emit: Emit): Emit {
    return (event) => {
      if (event.type !== 'vm-console' && event.type !== 'step-progress') {
        this.#events.push({ ...event, at: Math.round((performance.now() - this.#started) * 1000) / 1000 });
      }
      emit(event);
    };
  }

  /** Writes events.ndjson and trace.json into a folder, if any step ran. */
  save(folder: string): void {
    const finished = this.#events.filter((event): event is Finished => event.type === 'step-finished');
    if (!finished.some(({ cached }) => !cached)) return;
    const head = JSON.stringify({ schema: SCHEMA, started: this.#date.toISOString() });
    const lines = this.#events.map((event) => JSON.stringify(event));
    writeAtomically(path.join(folder, 'events.ndjson'), `${[head, ...lines].join('\n')}\n`);
    writeAtomically(path.join(folder, 'trace.json'), JSON.stringify({ traceEvents: traceOf(finished) }));
  }
}

function traceOf(finished: readonly Finished[]): TraceEvent[] {
  /** When each lane is free again. */
  const lanes: number[] = [];
  const spans = finished.map((event) => ({ event, start: event.at - event.ms })).sort((a, b) => a.start - b.start);
  return spans.map(({ event, start }): TraceEvent => {
    const free = lanes.findIndex((until) => until <= start);
    const lane = free === -1 ? lanes.length : free;
    lanes[lane] = event.at;
    const { step, kind, ms, cached, size, key, inputs } = event;
    const args = { cached, bytes: size, key, inputs };
    return { name: step, cat: kind, ph: 'X', ts: Math.max(0, start) * 1000, dur: ms * 1000, pid: 1, tid: lane, args };
  });
}

/** The steps that the end of a build waited for, first to last: from the last that ended back to what it waited for. */
export function criticalPath(trace: readonly TraceEvent[]): TraceEvent[] {
  const byName = new Map(trace.map((event) => [event.name, event]));
  const end = ({ ts, dur }: TraceEvent) => ts + dur;
  const latest = (events: readonly TraceEvent[]) => events.reduce((a, b) => (end(b) > end(a) ? b : a));
  const found: TraceEvent[] = [];
  for (let at = trace.length > 0 ? latest(trace) : undefined; at !== undefined; ) {
    found.unshift(at);
    const inputs = at.args.inputs.flatMap((name) => byName.get(name) ?? []);
    at = inputs.length > 0 ? latest(inputs) : undefined;
  }
  return found;
}
