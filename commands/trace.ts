import path from 'node:path';
import { readIfThere } from '../host/files.ts';
import { Project } from '../manifest/project.ts';
import { noHistory } from '../model/problems.ts';
import { criticalPath, type TraceEvent } from '../report/recorder.ts';
import type { Caller } from './session.ts';

export interface TraceReport {
  /** For chrome://tracing or Perfetto. */
  readonly file: string;
  /** Milliseconds from the first start to the last end. */
  readonly ms: number;
  readonly critical: readonly TraceEvent[];
}

/** The trace of the last build that ran anything. Throws `no-history`. */
export async function trace({ folder }: Caller): Promise<TraceReport> {
  const { state, root } = await Project.find(folder);
  const file = path.join(state, 'trace.json');
  const text = readIfThere(file);
  if (text === undefined) throw noHistory(`the project ${path.basename(root)}`);
  const { traceEvents } = JSON.parse(text) as { traceEvents: TraceEvent[] };
  const start = Math.min(...traceEvents.map(({ ts }) => ts));
  const end = Math.max(...traceEvents.map(({ ts, dur }) => ts + dur));
  return { file, ms: (end - start) / 1000, critical: criticalPath(traceEvents) };
}
