import { existsSync } from 'node:fs';
import path from 'node:path';
import { canonical } from '../engine/key.ts';
import { isFile, readIfThere, sha256, walk, writeAtomically } from '../host/files.ts';
import { ownCommand, packageRoot } from '../host/paths.ts';
import type { Project } from '../manifest/project.ts';
import { noSuchStep } from '../model/problems.ts';
import type { Step } from '../model/step.ts';
import type { Target } from '../plan/target.ts';
import { type BuildOptions, graphsOf, planTargets, type Strictness } from './build.ts';
import { NO_REMOTE } from './remote.ts';
import { type Caller, openSession } from './session.ts';

/** A graph as an engine of others needs it: a rule for each step, whose product is a small file with the digest of its output. */
export interface ExportedGraph {
  readonly rules: readonly Rule[];
  /** The products of the rules that nothing depends on: kernels and images. */
  readonly goals: readonly string[];
  /** What the graph itself was made of: files, and folders in which others may appear. */
  readonly manifests: readonly string[];
  /** The words that make it again, but for where to. */
  readonly regenerate: readonly string[];
}

export interface Rule {
  readonly step: string;
  /** Its product, relative to the project. */
  readonly stamp: string;
  /** The products and files that it is made from, relative to the project if they are in it. */
  readonly inputs: readonly string[];
  readonly command: readonly string[];
}

/** The graph of services for another engine. Builds nothing, but chooses packages that were not chosen yet. */
export async function exportGraph(caller: Caller, options: BuildOptions): Promise<ExportedGraph> {
  const session = await openSession(caller, { ...options, ...NO_REMOTE });
  try {
    const { project } = session;
    const targets = await planTargets(session, options);
    const rules = new Map<string, Rule>();
    const goals: string[] = [];
    for (const target of targets) {
      const { graphs, steps } = await graphsOf(session, [target], options);
      for (const step of steps) if (!rules.has(step.name)) rules.set(step.name, ruleFor(step, target, project));
      goals.push(...Object.values(graphs[0]!).flatMap((goal: Step | undefined) => (goal ? [stampOf(goal)] : [])));
    }
    return {
      rules: [...rules.values()],
      goals: [...new Set(goals)],
      manifests: manifestsOf(targets, [...rules.values()], project),
      regenerate: [...ownCommand(), 'export'],
    };
  } finally {
    session.close();
  }
}

export interface StepBuildOptions extends Strictness {
  readonly step: string;
  /** A service that has the step, and for which architecture. */
  readonly service: string;
  readonly arch?: string | undefined;
  /** A file for the digest of what it made; touched only where that has changed. */
  readonly stamp: string;
}

/** Builds one step of a service and what it needs, as a rule of an exported graph does. Throws `no-such-step`. */
export async function buildStep(caller: Caller, options: StepBuildOptions): Promise<void> {
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, { ...options, services: [options.service] });
    const { steps } = await graphsOf(session, targets, options);
    const step = steps.find(({ name }) => name === options.step);
    if (step === undefined) throw noSuchStep(options.step);
    const engine = session.engine({});
    try {
      const { artifact } = await engine.realise(step);
      const stamp = path.resolve(caller.folder, options.stamp);
      if (readIfThere(stamp) !== `${artifact.digest}\n`) writeAtomically(stamp, `${artifact.digest}\n`);
    } finally {
      await engine.settle();
      session.history.note(engine.done, engine.failed);
    }
  } finally {
    session.close();
  }
}

function stampOf({ name }: Step): string {
  const readable = name.replaceAll(/[^A-Za-z0-9.-]+/g, '_').slice(-60);
  return `.smol/stamps/${readable}.${sha256(name).slice(0, 8)}`;
}

function ruleFor(step: Step, { service, arch }: Target, project: Project): Rule {
  const stamp = stampOf(step);
  const { task, options, inputs, publish } = step;
  // Whoever sees a command that has changed runs it again: so what the step is told is part of it.
  const told = sha256(canonical({ task: task.kind, version: task.version, options, publish: publish ?? null })).slice(
    0,
    16,
  );
  return {
    step: step.name,
    stamp,
    inputs: [...Object.values(inputs).map(stampOf), ...filesOf(step, project).map((file) => within(project, file))],
    command: [
      ...[...ownCommand(), 'step', 'build', step.name, '--for', service, '--arch', arch],
      ...['--stamp', stamp, '--told', told],
    ],
  };
}

/** What of this host a step reads; a step that fetches reads its pin. */
function filesOf({ source }: Step, { root }: Project): string[] {
  if (source === undefined) return [];
  const { path: at } = source;
  if (at === undefined) return [path.join(root, 'smol.lock.yaml')].filter((file) => existsSync(file));
  if (isFile(at)) return [at];
  const below = walk(at).filter(({ type }) => type === 'file' || type === 'directory');
  return [at, ...below.map((entry) => path.join(at, entry.path))];
}

function manifestsOf(targets: readonly Target[], rules: readonly Rule[], project: Project): string[] {
  const { root } = project;
  const all = targets.flatMap((target) => [target, ...basesOf(target)]);
  const files = all.flatMap(({ folder, release, kernel }) => [
    path.join(folder, 'service.yaml'),
    project.find(`sets/${release.name}.yaml`)!,
    kernel.file,
  ]);
  const folders = rules.flatMap(({ inputs }) => inputs.filter((each) => !isFile(path.resolve(root, each))));
  const found = [path.join(root, 'smol.config.yaml'), ...files].map((file) => within(project, file));
  return [...new Set([...found, ...folders.filter((each) => existsSync(path.resolve(root, each)))])];
}

function basesOf({ from }: Target): Target[] {
  return from === undefined ? [] : [from, ...basesOf(from)];
}

/** A path as seen from the project, if it is in it or in smol itself. */
function within({ root }: Project, file: string): string {
  const relative = path.relative(root, file);
  return relative.startsWith('..') && !file.startsWith(packageRoot()) ? file : relative;
}
