import type { KeyRecord } from '../cache/records.ts';
import { noSuchStep } from '../model/problems.ts';
import { type Caller, openSession } from './session.ts';

/** The key record of a step as it was last made: all that went into its key, what came out, and what it said. Throws `no-such-step`. */
export async function stepRecord(caller: Caller, step: string): Promise<KeyRecord> {
  const session = await openSession(caller);
  try {
    const key = session.history.get(step)?.key;
    const record = key === undefined ? undefined : session.workshop.records.read(key);
    if (record === undefined) throw noSuchStep(step);
    return record;
  } finally {
    session.close();
  }
}
