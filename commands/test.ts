import os from 'node:os';
import path from 'node:path';
import { readChecked, writeChecked } from '../host/checked.ts';
import { sha256, signature } from '../host/files.ts';
import { cacheRoot } from '../host/paths.ts';
import { which } from '../host/process.ts';
import { requirePrograms } from '../host/programs.ts';
import type { Clocks } from '../model/event.ts';
import { type Problem, problemsOf } from '../model/problem.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { type CheckResult, check } from '../vm/checks.ts';
import type { RunningVm } from '../vm/launch.ts';
import { EMULATORS } from '../vm/machine.ts';
import { type BootOptions, boot } from './boot.ts';
import { bootableOf } from './bootable.ts';
import { type BuildOptions, type Built, buildTargets, planTargets } from './build.ts';
import { freePorts } from './freeports.ts';
import { registryFor } from './run.ts';
import { type Caller, openSession, type Session } from './session.ts';

export interface TestOptions extends BuildOptions {
  /** Boot even what has passed before, as it is. */
  readonly again?: boolean | undefined;
}

/** What became of the test of a target. */
export interface TestReport {
  readonly target: string;
  readonly ok: boolean;
  /** It was not booted: the same image, kernel, QEMU and kind of host have passed before. */
  readonly cached: boolean;
  readonly clocks: Clocks;
  /** That it answers and is in its budget, and its checks. */
  readonly checks: readonly CheckResult[];
  /** The end of its console, if anything failed. */
  readonly console: string | undefined;
}

/**
 * Builds services, boots each, waits until it answers, does its checks, holds it to its budget, and stops it. What has
 * passed before and has not changed since is not booted again.
 */
export async function test(caller: Caller, options: TestOptions): Promise<TestReport[]> {
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, options);
    const programs = new Set(targets.map(({ arch }) => EMULATORS[arch]));
    await requirePrograms([...programs], caller.emit, caller.signal);
    const built = await buildTargets(session, targets, { ...options, toBoot: true });
    const reports: TestReport[] = [];
    // One after the other: guests that share a processor would be over each other's budgets.
    for (const each of built) {
      caller.signal.throwIfAborted();
      const report = await testOne(caller, session, each, options);
      caller.emit({
        type: 'tested',
        target: report.target,
        ok: report.ok,
        cached: report.cached,
        checks: [...report.checks],
      });
      reports.push(report);
    }
    return reports;
  } finally {
    session.close();
  }
}

async function testOne(
  caller: Caller,
  session: Session,
  built: Built,
  { again = false }: TestOptions,
): Promise<TestReport> {
  const { target } = built;
  const file = path.join(cacheRoot(), 'tests', `${await keyOf(built)}.json`);
  const known = again ? undefined : readChecked<TestReport>(file);
  if (known !== undefined) return { ...known, cached: true };
  const report = await bootAndCheck(caller, session, built);
  if (report.ok) writeChecked(file, report);
  return { ...report, target: target.name };
}

/** All that a test's outcome depends on: what boots, what is asked of it, QEMU, and what kind of host it is. */
async function keyOf({ target, image, kernel, initrd }: Built): Promise<string> {
  const program = which(EMULATORS[target.arch]);
  const { accelerator } = await chooseAccelerator(target.arch, cacheRoot());
  const host = [process.platform, process.arch, os.cpus()[0]?.model, os.cpus().length, accelerator];
  const parts = [image.key, kernel, initrd, target.run, target.test, program && signature(program), host];
  return sha256(JSON.stringify(parts));
}

async function bootAndCheck(caller: Caller, session: Session, built: Built): Promise<TestReport> {
  const { target } = built;
  const checks: CheckResult[] = [];
  let clocks: Clocks = {};
  let tail = '';
  let problem: Problem | undefined;
  const during: BootOptions['during'] = async (vm, forwards, signal) => {
    clocks = vm.clocks;
    const subject = { forwards, folder: target.folder, type: typist(vm) };
    for (const [name, limit] of Object.entries(target.test.budget ?? {})) {
      const took = vm.clocks[name as keyof Clocks];
      const isOver = took === undefined || took > limit!;
      const failure = isOver
        ? `it took ${took === undefined ? 'nobody knows how long' : `${Math.round(took)} ms`}, and may take ${limit}`
        : undefined;
      checks.push({ name: `${name} within ${limit} ms`, ms: took ?? 0, failure });
    }
    for (const wanted of target.test.checks ?? []) checks.push(await check(wanted, subject, signal));
    tail = vm.tail(40);
  };
  const name = `test-${target.name}`;
  const bootable = await bootableOf(caller, session, built, {});
  const quiet = {
    ...caller,
    emit: (event: Parameters<Caller['emit']>[0]) => event.type === 'vm-console' || caller.emit(event),
  };
  try {
    await boot(
      quiet,
      await registryFor(caller),
      bootable,
      name,
      { during, ports: await freePorts(target.run.ports) },
      {},
    );
  } catch (error) {
    [problem] = problemsOf(error);
    if (problem === undefined) throw error;
    tail = problem.parts.detail ?? '';
  }
  caller.signal.throwIfAborted();
  const answers = { name: 'it answers', ms: clocks.ready ?? 0, failure: problem?.message };
  const all = [answers, ...checks];
  const ok = all.every(({ failure }) => failure === undefined);
  return { target: target.name, ok, cached: false, clocks, checks: all, console: ok ? undefined : tail };
}

/** Types on the console of a VM, and waits for what comes after that. */
function typist(vm: RunningVm) {
  return async (text: string, expect: RegExp, ms: number): Promise<string> => {
    let said = '';
    const hear = (bytes: Buffer) => {
      said += bytes.toString('utf8').replaceAll('\r', '');
    };
    vm.on('console', hear);
    try {
      if (text !== '') vm.type(Buffer.from(`${text}\n`));
      // What was typed comes back first, and is no answer.
      const answer = () => said.slice(said.startsWith(text) ? text.length : 0);
      for (const end = Date.now() + ms; !expect.test(text === '' ? vm.tail(1000) : answer()); ) {
        if (Date.now() > end) throw new Error(`nothing like ${expect} came within ${ms / 1000} s:\n${answer()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return answer();
    } finally {
      vm.off('console', hear);
    }
  };
}
