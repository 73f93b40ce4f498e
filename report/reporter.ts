import type { Event } from '../model/event.ts';

/** Renders the events of a command. */
export interface Reporter {
  report(event: Event): void;
  /** Ends what is still being drawn. */
  close(): void;
}
