import { follow } from '../host/process.ts';
import type { Digest } from '../model/artifact.ts';
import type { Event } from '../model/event.ts';
import { Problem, type ProblemParts } from '../model/problem.ts';
import { executorLost, executorMissing } from '../model/problems.ts';
import type { Pool, Step } from '../model/step.ts';
import { Slots } from './slots.ts';

/** An engine of others that runs steps on hosts of its own, by its own command that runs one and waits. */
export interface ExecutorSettings {
  /** Words, in which `{command}` and the other names in braces stand for what is to be run. */
  readonly command: readonly string[];
  /** The kinds of steps that it runs. */
  readonly kinds: readonly string[];
  /** How many at once. */
  readonly slots: number;
  /** How often a step that was lost is given to it again. */
  readonly retries: number;
  /** The words that start smol there. */
  readonly smol: readonly string[];
  /** The directory to call it in. */
  readonly cwd: string;
}

/** What a step of each pool needs: processors, and MiB of memory. A VM's own memory is 1 GiB at most, unless it says more. */
const NEEDS: Readonly<Record<Pool, { cpus: number; memory: number }>> = {
  net: { cpus: 1, memory: 512 },
  cpu: { cpus: 1, memory: 1024 },
  disk: { cpus: 1, memory: 512 },
  vm: { cpus: 2, memory: 2048 },
};

/** How much of what a lost job said is told. */
const TAIL = 20;

export class Executor {
  readonly #settings: ExecutorSettings;
  readonly slots: Slots;

  constructor(settings: ExecutorSettings) {
    this.#settings = settings;
    this.slots = new Slots(settings.slots);
  }

  /** Whether a step is run by it: one of its kinds, that needs nothing which only this host has. */
  takes({ task, source }: Step): boolean {
    return source === undefined && this.#settings.kinds.includes(task.kind);
  }

  /**
   * Has a step run, and gives what it said when that is over. A job that ends without a word of its own was lost, with its
   * host, and is given again. Throws the problem that the step has, or `executor-lost`.
   */
  async run(
    step: Step,
    key: Digest,
    {
      file,
      signal,
      log,
      isDone,
    }: {
      /** Where the file goes that it makes, if it is not for the store. */
      file: string | undefined;
      signal: AbortSignal;
      log: (line: string) => void;
      isDone: () => boolean | Promise<boolean>;
    },
  ): Promise<void> {
    const { command, cwd, retries } = this.#settings;
    const [program = '', ...args] = wordsOf(command, step, key, this.#commandFor(step, key, file));
    for (let attempt = 0; ; attempt++) {
      const said: string[] = [];
      let problem: ProblemParts | undefined;
      const hear = (line: string) => {
        const event = eventOf(line);
        if (event?.type === 'problem') problem = event.problem as unknown as ProblemParts;
        else if (event?.type === 'step-log') log(event.line);
        else if (event === undefined && line !== '') said.push(line);
      };
      const code = await follow(program, args, { cwd, signal, line: hear });
      if (problem !== undefined) throw new Problem(problem);
      if (code === 0 && (await isDone())) return;
      if (code === 127) throw executorMissing(program);
      if (attempt >= retries) throw executorLost(step.name, program, code, said.slice(-TAIL).join('\n'));
      log(`the job was lost (exit code ${code}), and is given to ${program} again`);
    }
  }

  #commandFor({ name }: Step, key: Digest, file: string | undefined): string[] {
    const where = file === undefined ? [] : ['--publish', file];
    return [...this.#settings.smol, 'step', 'run', key, '--name', name, ...where, '--json'];
  }
}

function wordsOf(template: readonly string[], { name, task }: Step, key: Digest, command: readonly string[]): string[] {
  const { cpus, memory } = NEEDS[task.pool];
  const values: Record<string, string> = {
    name: name.replaceAll(/[^A-Za-z0-9_.-]+/g, '-'),
    kind: task.kind,
    pool: task.pool,
    key,
    cpus: String(cpus),
    memory: String(memory),
  };
  return template.flatMap((word) =>
    word === '{command}' ? command : [word.replaceAll(/\{(\w+)\}/g, (whole, found: string) => values[found] ?? whole)],
  );
}

/** The event that a line is; what an engine itself says is none. */
function eventOf(line: string): Event | undefined {
  if (!line.startsWith('{"type":')) return undefined;
  try {
    return JSON.parse(line) as Event;
  } catch {
    return undefined;
  }
}
