import { Scratch } from '../engine/scratch.ts';
import { requirePrograms } from '../host/programs.ts';
import type { Artifact } from '../model/artifact.ts';
import { noSuchScript } from '../model/problems.ts';
import { graphOf, stepsOf } from '../plan/graph.ts';
import { shellInBuilder, type Terminal } from '../tasks/builder.ts';
import { script, scriptStepName, shellAt } from '../tasks/script.ts';
import { planTargets } from './build.ts';
import { type Caller, openSession } from './session.ts';

export interface ShellOptions {
  readonly service: string;
  readonly arch?: string | undefined;
  /** The script, by the end of its name; by default the one that failed, or else the last. */
  readonly at?: string | undefined;
  /** Takes the terminal over for the shell of a builder VM; a shell of this host has it by itself. */
  readonly sitDown: () => Terminal & Disposable;
}

/**
 * A shell where a script of a service works: in the tree that it gets, confined as it is or in its builder VM, with its
 * files; the script is ../script.sh, in a VM $IN/script.sh. Builds what comes before it. Gives the shell's exit code. Throws `no-such-script`.
 */
export async function shell(caller: Caller, { service, arch, at, sitDown }: ShellOptions): Promise<number> {
  const session = await openSession(caller);
  try {
    const { project, surroundings, workshop, history } = session;
    const [target] = await planTargets(session, { services: [service], arch });
    const steps = stepsOf([graphOf(target!, project, surroundings).image]);
    const labels = target!.scripts.map(({ label }) => label);
    const scripts = labels.map((label) => steps.find(({ name }) => name === scriptStepName(label, target!.name))!);
    const failed = scripts.findIndex(({ name }) => history.hasFailed(name, history.get(name)?.key));
    const wanted =
      at === undefined ? (failed < 0 ? labels.length - 1 : failed) : labels.findIndex((each) => each.endsWith(at));
    const step = scripts[wanted];
    if (step === undefined) throw noSuchScript(service, at, labels);
    await requirePrograms(step.task.tools?.(step) ?? [], caller.emit, caller.signal);
    const engine = session.engine({});
    const inputs: Record<string, Artifact> = {};
    for (const [name, input] of Object.entries(step.inputs)) inputs[name] = await engine.provide(input);
    await using scratch = new Scratch(workshop.scratch);
    const { store, signal } = workshop;
    const given = { store, signal, options: step.options, inputs };
    const folder = await scratch.get();
    if (step.task === script) return await shellAt(folder, given);
    using terminal = sitDown();
    return await shellInBuilder(folder, { ...given, key: step.name }, terminal);
  } finally {
    session.close();
  }
}
