import type { Caller } from '../commands/session.ts';

/** What the commands of the command line work with. */
export interface Context {
  readonly caller: Caller;
  /** Writes a result to standard output. */
  readonly print: (text: string) => void;
  /** Writes bytes to standard output as they are, at the pace of who reads them. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** How events are told: as JSON, and of builds after the first one only the result. */
  readonly tellAs: (how: { json?: boolean | undefined; watch?: boolean | undefined }) => void;
  /** What ^C does. */
  readonly interrupt: () => void;
  /** What to exit with when nothing was thrown. */
  exitCode: number;
}
