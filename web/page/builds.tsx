import { useCallback, useEffect, useState } from 'preact/hooks';
import type { KeyRecord } from '../../cache/records.ts';
import type { LoggedBuild } from '../../commands/buildlog.ts';
import { causeText } from '../../commands/causes.ts';
import type { Plan, PlannedStep } from '../../commands/forecast.ts';
import type { ListedService } from '../../commands/list.ts';
import type { TraceReport } from '../../commands/trace.ts';
import type { Explanation } from '../../commands/why.ts';
import type { ProblemParts } from '../../model/problem.ts';
import { bytes, duration } from '../../model/words.ts';
import type { Boot } from '../../vm/registry.ts';
import type { PageBuild } from '../builds.ts';
import { Graph } from './graph.tsx';
import { ask, type Message, type Refused, useAnswer, useMessages } from './server.ts';
import { ServiceSettings } from './settings.tsx';
import { Panel, ProblemList } from './words.tsx';

/** How a step does in the build that is seen. */
export interface Progress {
  readonly state: 'running' | 'cached' | 'done' | 'failed';
  readonly ms?: number | undefined;
  readonly size?: number | undefined;
  readonly lines: readonly string[];
}

const MOST_LINES = 2000;

/** A service's graph, a button to build it, and what became of each step. */
export function Builds() {
  const { value: services } = useAnswer<ListedService[]>('/services');
  const { value: builds, again: lookAgain } = useAnswer<PageBuild[]>('/builds');
  const [service, setService] = useState('');
  const [step, setStep] = useState<string>();
  const [progress, setProgress] = useState<ReadonlyMap<string, Progress>>(new Map());
  const [problems, setProblems] = useState<readonly ProblemParts[]>([]);
  const { value: plan, error, again } = useAnswer<Plan>(service === '' ? undefined : `/services/${service}/graph`);
  useEffect(() => {
    // Somebody may have chosen by now.
    if (services && builds) setService((chosen) => chosen || (builds[0]?.services[0] ?? services[0]?.name ?? ''));
  }, [services, builds]);
  const hear = useCallback(
    (message: Message) => {
      if (message.type === 'build') {
        lookAgain();
        setProblems(message.build.problems);
        if (message.build.state === 'running') setProgress(new Map());
        else again();
      }
      if (message.type === 'build-event') setProgress((all) => advanced(all, message.event));
    },
    [again, lookAgain],
  );
  useMessages(hear);
  const current = builds?.[0]?.state === 'running' ? builds[0] : undefined;
  const act = (path: string, body: unknown) => {
    setProblems([]);
    ask(path, 'POST', body).then(lookAgain, (refused: Refused) => setProblems(refused.problems));
  };
  const chosen = plan?.steps.find((each) => each.step === step);
  return (
    <>
      <Panel
        title="Build"
        tools={
          <>
            <label>
              Service{' '}
              <select
                value={service}
                onChange={(event) => {
                  setService(event.currentTarget.value);
                  setStep(undefined);
                }}
              >
                {services?.map(({ name }) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <button
              type="button"
              class="main"
              disabled={current !== undefined || service === ''}
              onClick={() => act('/builds', { services: [service] })}
            >
              Build
            </button>
            {current && (
              <button type="button" onClick={() => act('/builds/cancel', {})}>
                Cancel
              </button>
            )}
          </>
        }
      >
        <ProblemList problems={error?.problems ?? problems} />
        {plan && <Graph steps={plan.steps} progress={progress} chosen={step} choose={setStep} />}
      </Panel>
      {chosen && <StepView planned={chosen} progress={progress.get(chosen.step)} service={service} />}
      {service !== '' && <ServiceSettings key={service} service={service} changed={again} />}
      {service !== '' && <Boots key={`boots ${service}`} service={service} />}
      <LastTrace key={builds?.[0]?.state} />
      <History key={`history ${builds?.[0]?.state}`} />
    </>
  );
}

function advanced(
  all: ReadonlyMap<string, Progress>,
  event: Extract<Message, { type: 'build-event' }>['event'],
): ReadonlyMap<string, Progress> {
  const put = (step: string, change: (before: Progress) => Progress) =>
    new Map(all).set(step, change(all.get(step) ?? BEGUN));
  switch (event.type) {
    case 'step-started':
      return put(event.step, () => BEGUN);
    case 'step-log':
      return put(event.step, (before) => ({ ...before, lines: [...before.lines, event.line].slice(-MOST_LINES) }));
    case 'step-finished': {
      const { cached, ms, size } = event;
      return put(event.step, (before) => ({ ...before, state: cached ? 'cached' : 'done', ms, size }));
    }
    case 'step-failed':
      return put(event.step, (before) => ({ ...before, state: 'failed', ms: event.ms }));
    default:
      return all;
  }
}

const BEGUN: Progress = { state: 'running', lines: [] };

/** The builds of the project that did something. */
function History() {
  const { value: builds } = useAnswer<LoggedBuild[]>('/history');
  const longest = Math.max(1, ...(builds ?? []).map(({ ms }) => ms));
  return (
    <Panel title="Builds that did something">
      {builds?.length === 0 && <p class="quiet">None yet.</p>}
      <ul class="plain">
        {builds?.slice(0, 20).map(({ targets, at, ms, ok, ran, cached }) => (
          <li key={at} class="bar">
            <span style={{ width: `${(100 * ms) / longest}%` }} />
            <em>
              <span class={`state ${ok ? 'done' : 'failed'}`}>{ok ? 'done' : 'failed'}</span> {targets.join(', ')}{' '}
              <span class="quiet">
                {new Date(at).toLocaleString()}, {duration(ms)}, {ran} run, {cached} cached
              </span>
            </em>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** How fast the VMs of a service were: the answer, and below it user land and the console's first byte. */
function Boots({ service }: { service: string }) {
  const { value: boots } = useAnswer<Boot[]>(`/services/${service}/boots`);
  if (!boots || boots.length === 0) return null;
  const shown = boots.slice(0, 30).reverse();
  const longest = Math.max(...shown.map(({ clocks }) => clocks.ready ?? 0));
  return (
    <Panel title={`How fast ${service} booted`}>
      <p class="quiet">
        The last {shown.length}: console, user land, answer. The last one answered after{' '}
        {duration(boots[0]!.clocks.ready ?? 0)} ({boots[0]!.accelerator}).
      </p>
      <div
        class="chart"
        role="img"
        aria-label={`answers after ${shown.map(({ clocks }) => duration(clocks.ready ?? 0)).join(', ')}`}
      >
        {shown.map(({ at, clocks }) => (
          <div
            key={at}
            title={`${new Date(at).toLocaleString()}: console ${duration(clocks.console ?? 0)}, user land ${duration(clocks.userland ?? 0)}, answer ${duration(clocks.ready ?? 0)}`}
          >
            {(['ready', 'userland', 'console'] as const).map((clock) => (
              <span key={clock} class={clock} style={{ height: `${(100 * (clocks[clock] ?? 0)) / longest}%` }} />
            ))}
          </div>
        ))}
      </div>
    </Panel>
  );
}

/** What the last build waited for, step by step. */
function LastTrace() {
  const { value: trace } = useAnswer<TraceReport>('/trace');
  if (trace === undefined) return null;
  const start = Math.min(...trace.critical.map(({ ts }) => ts));
  return (
    <Panel title="What the last build waited for">
      <p class="quiet">
        {duration(trace.ms)} in all; for Perfetto: <code>{trace.file}</code>
      </p>
      <ul class="plain timeline">
        {trace.critical.map(({ name, ts, dur }) => (
          <li key={name}>
            <span class="lane">
              <span
                style={{ left: `${(ts - start) / 10 / trace.ms}%`, width: `${Math.max(0.5, dur / 10 / trace.ms)}%` }}
              />
            </span>
            {duration(dur / 1000)} <em>{name}</em>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** One step: its key, what it takes, what it said, and why it ran. */
function StepView({
  planned,
  progress,
  service,
}: {
  planned: PlannedStep;
  progress: Progress | undefined;
  service: string;
}) {
  const [why, setWhy] = useState<readonly string[]>([]);
  const [isOpen, setOpen] = useState(false);
  const { value: record } = useAnswer<KeyRecord>(
    isOpen ? `/record?step=${encodeURIComponent(planned.step)}` : undefined,
  );
  useEffect(() => {
    setWhy([]);
    ask<Explanation[]>(`/services/${service}/why`).then(
      ([explanation]) => {
        const found = explanation?.ran.find(({ step }) => step === planned.step);
        setWhy(
          found === undefined
            ? []
            : [...found.causes.map((cause) => causeText(cause)), ...found.after.map((each) => `after ${each}`)],
        );
      },
      () => undefined, // never built: nothing to explain
    );
  }, [planned.step, service]);
  return (
    <Panel title={planned.step}>
      <dl>
        <dt>Kind</dt>
        <dd>{planned.kind}</dd>
        <dt>State</dt>
        <dd>
          {progress?.state ?? planned.state}
          {progress?.ms !== undefined && `, ${duration(progress.ms)}`}
          {progress?.size !== undefined && `, ${bytes(progress.size)}`}
        </dd>
        <dt>Key</dt>
        <dd>
          <code>{planned.key ?? 'known once what it takes is'}</code>
        </dd>
        {planned.inputs.length > 0 && <dt>Takes</dt>}
        {planned.inputs.length > 0 && <dd>{planned.inputs.join(', ')}</dd>}
        {why.length > 0 && <dt>Why it ran last</dt>}
        {why.length > 0 && <dd>{why.join('; ')}</dd>}
      </dl>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Key record</summary>
        <pre>
          {record ? JSON.stringify(record, undefined, 2) : 'None: it was not made here, or the cache has lost it.'}
        </pre>
      </details>
      {progress && progress.lines.length > 0 && (
        <pre class="log" role="log">
          {progress.lines.join('\n')}
        </pre>
      )}
    </Panel>
  );
}
