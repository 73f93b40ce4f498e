import os from 'node:os';
import path from 'node:path';
import { writeAtomically } from '../host/files.ts';
import { attempt } from '../host/process.ts';
import { requirePrograms } from '../host/programs.ts';
import type { Clocks } from '../model/event.ts';
import { GUESTS } from '../vm/guests.ts';
import { EMULATORS } from '../vm/machine.ts';
import { type BootOptions, boot } from './boot.ts';
import { type Bootable, bootableOf, type NamedFiles } from './bootable.ts';
import { type Built, buildTargets, planTargets } from './build.ts';
import { freePorts } from './freeports.ts';
import { registryFor } from './run.ts';
import { type Caller, openSession } from './session.ts';

export interface BootBenchOptions extends NamedFiles {
  readonly service: string;
  readonly arch?: string | undefined;
  /** How often each is booted. */
  readonly count: number;
  /** Another service, image or kernel to boot in turn with the first. */
  readonly against?: (NamedFiles & { readonly service?: string | undefined }) | undefined;
  readonly accel?: BootOptions['accel'];
}

/** What the clocks of many boots say, in milliseconds since QEMU was started. */
export interface Spread {
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
}

export interface BootBenchReport {
  readonly host: { readonly cpu: string; readonly cores: number; readonly system: string; readonly qemu: string };
  readonly accelerator: string;
  readonly subjects: readonly {
    readonly name: string;
    readonly runs: readonly Clocks[];
    readonly clocks: Readonly<Partial<Record<keyof Clocks, Spread>>>;
  }[];
  /** What the guest's kernel says of its own time, for chrome://tracing or Perfetto; undefined if it says nothing. */
  readonly trace: string | undefined;
}

/**
 * Boots a service many times, until it answers, and another in turn with it if there is one, so that both meet the same
 * moods of the host. One more boot, which counts for nothing, has the kernel tell what it does when.
 */
export async function benchBoot(caller: Caller, options: BootBenchOptions): Promise<BootBenchReport> {
  const session = await openSession(caller);
  try {
    const { service, against, arch } = options;
    const services = [...new Set([service, against?.service ?? service])];
    const targets = await planTargets(session, { services, arch });
    await requirePrograms([EMULATORS[targets[0]!.arch]], caller.emit, caller.signal);
    const built = await buildTargets(session, targets, { toBoot: true });
    const bootable = (name: string, files: NamedFiles) =>
      bootableOf(caller, session, built.find(({ target }) => target.service === name) as Built, files);
    const subjects = [{ name: service, bootable: await bootable(service, options), runs: [] as Clocks[] }];
    if (against !== undefined) {
      const name = against.service ?? against.image ?? against.kernel ?? service;
      subjects.push({ name, bootable: await bootable(against.service ?? service, against), runs: [] });
    }
    let accelerator = '';
    for (let n = 0; n < options.count; n++) {
      for (const subject of subjects) {
        caller.signal.throwIfAborted();
        const { clocks, record } = await bootOnce(caller, subject.bootable, options);
        accelerator = record.accelerator;
        subject.runs.push(clocks);
        caller.emit({ type: 'booted', vm: subject.name, round: n + 1, of: options.count, clocks });
      }
    }
    const trace = await traced(caller, subjects[0]!.bootable, options, session.project.state);
    return {
      host: await hostOf(subjects[0]!.bootable),
      accelerator,
      subjects: subjects.map(({ name, runs }) => ({ name, runs, clocks: spreads(runs) })),
      trace,
    };
  } finally {
    session.close();
  }
}

async function bootOnce(caller: Caller, bootable: Bootable, { accel }: BootBenchOptions, more: BootOptions = {}) {
  let clocks: Clocks = {};
  let console = '';
  const quiet: Caller = {
    ...caller,
    emit: (event) => {
      if (event.type === 'vm-console') console += Buffer.from(event.bytes).toString('latin1');
      if (event.type === 'problem') caller.emit(event);
    },
  };
  const registry = await registryFor(caller);
  const name = `bench-${process.pid}`;
  const record = await boot(
    quiet,
    registry,
    bootable,
    name,
    {
      ...more,
      accel,
      abruptly: true,
      ports: await freePorts(bootable.runnable.run.ports),
      during: async (vm) => {
        clocks = { ...vm.clocks };
      },
    },
    {},
  );
  registry.remove(record);
  return { clocks, console, record };
}

function spreads(runs: readonly Clocks[]): BootBenchReport['subjects'][number]['clocks'] {
  const of = (clock: keyof Clocks): [keyof Clocks, Spread][] => {
    const values = runs.flatMap((run) => run[clock] ?? []).sort((a, b) => a - b);
    if (values.length === 0) return [];
    const at = (share: number) => values[Math.min(values.length - 1, Math.ceil(share * values.length) - 1)]!;
    return [[clock, { min: values[0]!, p50: at(0.5), p95: at(0.95) }]];
  };
  return Object.fromEntries([...of('console'), ...of('userland'), ...of('ready')]);
}

/** A boot in which the kernel speaks, as a trace of its own timestamps: the file, or undefined if it had none. */
async function traced(
  caller: Caller,
  bootable: Bootable,
  options: BootBenchOptions,
  state: string,
): Promise<string | undefined> {
  const { verbose } = GUESTS[bootable.runnable.guest];
  const { console, clocks } = await bootOnce(caller, bootable, options, { append: verbose });
  const lines = [...console.matchAll(/^\[\s*(\d+\.\d+)\]\s*(.*?)\r?$/gm)].map(([, at, text]) => ({
    at: Number(at) * 1e6,
    text: text!,
  }));
  if (lines.length === 0) return undefined;
  const event = (name: string, ts: number, dur: number, tid: number) => ({ name, ph: 'X', ts, dur, pid: 1, tid });
  const traceEvents = [
    ...lines.map(({ at, text }, n) => event(text, at, (lines[n + 1]?.at ?? at) - at, 1)),
    ...Object.entries(clocks).map(([name, ms]) => event(`until ${name}`, 0, ms * 1000, 2)),
  ];
  const file = path.join(state, 'boot-trace.json');
  writeAtomically(file, JSON.stringify({ traceEvents }));
  return file;
}

async function hostOf({ runnable }: Bootable): Promise<BootBenchReport['host']> {
  const { stdout } = await attempt(EMULATORS[runnable.arch], ['--version']);
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    system: `${os.type()} ${os.release()} ${process.arch}`,
    qemu: /version (\S+)/.exec(stdout)?.[1] ?? 'unknown',
  };
}
