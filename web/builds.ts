import { build } from '../commands/build.ts';
import type { Caller } from '../commands/session.ts';
import type { Event } from '../model/event.ts';
import { type ProblemParts, problemsOf } from '../model/problem.ts';
import { busyBuilding } from '../model/problems.ts';

/** One build that somebody asked for in the page. */
export interface PageBuild {
  readonly id: number;
  readonly services: readonly string[];
  readonly arch: string | undefined;
  /** Milliseconds since 1970. */
  readonly started: number;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  ms?: number;
  problems: readonly ProblemParts[];
}

/** How many builds are remembered. */
const REMEMBERED = 50;

/** The builds of the page: one at a time, as a terminal has it. */
export class Builds {
  readonly all: PageBuild[] = [];
  readonly #caller: Pick<Caller, 'folder' | 'signal'>;
  readonly #tell: (message: unknown) => void;
  #cancel: AbortController | undefined;

  constructor(caller: Pick<Caller, 'folder' | 'signal'>, tell: (message: unknown) => void) {
    this.#caller = caller;
    this.#tell = tell;
  }

  /** Starts a build and does not wait for it. Throws `busy-building`. */
  start(services: readonly string[], arch: string | undefined): PageBuild {
    const last = this.all[0];
    if (last?.state === 'running') throw busyBuilding(last.services);
    const id = (last?.id ?? 0) + 1;
    const begun: PageBuild = { id, services, arch, started: Date.now(), state: 'running', problems: [] };
    this.all.unshift(begun);
    this.all.length = Math.min(this.all.length, REMEMBERED);
    this.#cancel = new AbortController();
    void this.#work(begun, this.#cancel.signal);
    return begun;
  }

  cancel(): void {
    this.#cancel?.abort();
  }

  async #work(begun: PageBuild, cancelled: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#caller.signal, cancelled]);
    const emit = (event: Event) => this.#tell({ type: 'build-event', build: begun.id, event });
    const { services, arch } = begun;
    try {
      this.#tell({ type: 'build', build: begun });
      await build({ ...this.#caller, signal, emit }, { services: [...services], arch });
      begun.state = 'done';
    } catch (error) {
      begun.state = signal.aborted ? 'cancelled' : 'failed';
      begun.problems = signal.aborted ? [] : problemsOf(error).map(({ parts }) => parts);
      if (!signal.aborted && begun.problems.length === 0) this.#tell({ type: 'bug', text: String(error) });
    }
    begun.ms = Date.now() - begun.started;
    this.#tell({ type: 'build', build: begun });
  }
}
