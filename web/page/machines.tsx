import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { ListedService } from '../../commands/list.ts';
import type { VmState } from '../../commands/machines.ts';
import type { ProblemParts } from '../../model/problem.ts';
import { bytes } from '../../model/words.ts';
import { FORWARD, parseForward } from '../../vm/machine.ts';
import { ask, type Message, type Refused, useAnswer, useMessages } from './server.ts';
import { Panel, ProblemList, Spark, uptime, wordsIn } from './words.tsx';

const LOOK_MS = 2000;
const MOST_LINES = 500;
/** How many looks a chart has. */
const LOOKS = 30;

interface Load {
  readonly cpuMs: number;
  readonly at: number;
  readonly cpu: readonly number[];
  readonly rss: readonly number[];
}

/** The VMs of the project, and a form for one more. */
export function Machines({ openConsole }: { openConsole: (name: string) => void }) {
  const { value: machines, error, again } = useAnswer<VmState[]>('/machines', LOOK_MS);
  const loads = useLoads(machines);
  const [problems, setProblems] = useState<readonly ProblemParts[]>([]);
  const [starting, setStarting] = useState<Readonly<Record<string, string>>>({});
  const hear = useCallback(
    (message: Message) => {
      if (message.type === 'vm-failed') setProblems(message.problems);
      if (message.type === 'vm-failed' || (message.type === 'vm-event' && message.event.type === 'vm-ready')) {
        setStarting(({ [message.vm]: _, ...others }) => others);
        again();
      } else if (message.type === 'vm-event') {
        const { event } = message;
        const what = event.type === 'step-started' ? event.step : event.type === 'vm-starting' ? 'booting' : undefined;
        if (what !== undefined) setStarting((all) => ({ ...all, [message.vm]: what }));
      }
    },
    [again],
  );
  useMessages(hear);
  const act = (path: string, method: string, body?: unknown) => {
    setProblems([]);
    ask(path, method, body).then(again, (refused: Refused) => setProblems(refused.problems));
  };
  const known = machines?.map(({ name }) => name) ?? [];
  const fresh = Object.entries(starting).filter(([name]) => !known.includes(name));
  return (
    <>
      <NewMachine
        taken={(machines ?? []).filter(({ state }) => state !== 'stopped')}
        start={(body) => act('/machines', 'POST', body)}
      />
      <Panel title="Machines">
        <ProblemList problems={error?.problems ?? problems} />
        {machines?.length === 0 && fresh.length === 0 && (
          <p class="quiet">No VM runs. Start one above, or with smol run -d.</p>
        )}
        <ul class="machines">
          {fresh.map(([name, what]) => (
            <li key={name}>
              <h3>{name}</h3>
              <span class="state starting">starting</span>
              <span class="quiet">{what}</span>
            </li>
          ))}
          {machines?.map((vm) => (
            <Machine
              key={vm.name}
              vm={vm}
              load={loads.get(vm.name)}
              doing={starting[vm.name]}
              act={act}
              openConsole={openConsole}
            />
          ))}
        </ul>
      </Panel>
    </>
  );
}

function Machine({
  vm,
  load,
  doing,
  act,
  openConsole,
}: {
  vm: VmState;
  load: Load | undefined;
  doing: string | undefined;
  act: (path: string, method: string, body?: unknown) => void;
  openConsole: (name: string) => void;
}) {
  const [removing, setRemoving] = useState(false);
  const [isLogOpen, setLogOpen] = useState(false);
  const at = `/machines/${vm.name}`;
  const runs = vm.state !== 'stopped';
  return (
    <li>
      <h3>{vm.name}</h3>
      <span class={`state ${vm.state}`}>{vm.state}</span>
      {doing && <span class="quiet">{doing}</span>}
      {runs && (
        <span class="quiet">
          up {uptime(Date.now() - vm.started)}, pid {vm.pid}, {vm.accelerator}
        </span>
      )}
      {runs && load && load.cpu.length > 0 && (
        <Spark values={load.cpu} most={100} label={`${Math.round(load.cpu.at(-1)!)} % CPU`} />
      )}
      {runs && load && (
        <Spark
          values={load.rss}
          most={2 * vm.memory * 1024 ** 2}
          label={`${bytes(load.rss.at(-1) ?? 0)} for ${vm.memory} MiB of guest`}
        />
      )}
      {runs &&
        vm.urls.map((url) => (
          <a key={url} href={url} target="_blank" rel="noreferrer">
            {url}
          </a>
        ))}
      <span class="tools">
        <button
          type="button"
          aria-pressed={vm.protected ?? false}
          title="Neither stopped nor removed, by this page or by the command line"
          onClick={() => act(`${at}/protect`, 'POST', { on: !vm.protected })}
        >
          {vm.protected ? 'Protected' : 'Protect'}
        </button>
        <button type="button" aria-expanded={isLogOpen} onClick={() => setLogOpen(!isLogOpen)}>
          Log
        </button>
        {runs && (
          <button type="button" onClick={() => openConsole(vm.name)}>
            Console
          </button>
        )}
        {runs && (
          <button type="button" disabled={vm.protected} onClick={() => act(`${at}/stop`, 'POST')}>
            Stop
          </button>
        )}
        <button type="button" disabled={runs && vm.protected} onClick={() => act(`${at}/restart`, 'POST')}>
          {runs ? 'Restart' : 'Start'}
        </button>
        {!runs && !removing && !vm.protected && (
          <button type="button" onClick={() => setRemoving(true)}>
            Remove…
          </button>
        )}
        {removing && (
          <>
            <button type="button" class="danger" onClick={() => act(at, 'DELETE')}>
              Remove {vm.name} and its disk
            </button>
            <button type="button" onClick={() => setRemoving(false)}>
              Keep it
            </button>
          </>
        )}
      </span>
      {isLogOpen && <Log at={at} />}
    </li>
  );
}

/** The end of what a console has said, as it goes on. */
function Log({ at }: { at: string }) {
  const { value: log } = useAnswer<{ text: string }>(`${at}/log`, LOOK_MS);
  return (
    <pre class="log" role="log">
      {log?.text.replaceAll('\r', '').split('\n').slice(-MOST_LINES).join('\n') ?? ''}
    </pre>
  );
}

/** What VMs used between two looks: processors in percent of one, memory in bytes. */
function useLoads(machines: readonly VmState[] | undefined): ReadonlyMap<string, Load> {
  const loads = useRef(new Map<string, Load>());
  const seen = useRef<readonly VmState[] | undefined>(undefined);
  if (machines !== undefined && machines !== seen.current) {
    seen.current = machines;
    const now = Date.now();
    for (const { name, cpuMs = 0, rss = 0 } of machines) {
      const before = loads.current.get(name);
      const isLater = before !== undefined && cpuMs >= before.cpuMs;
      const cpu = isLater ? [...before.cpu, (100 * (cpuMs - before.cpuMs)) / (now - before.at)] : [];
      loads.current.set(name, {
        cpuMs,
        at: now,
        cpu: cpu.slice(-LOOKS),
        rss: [...(isLater ? before.rss : []), rss].slice(-LOOKS),
      });
    }
  }
  return loads.current;
}

/** What a machine can be told besides; those with a number are sent as one. */
const MORE = [
  { key: 'cpus', label: 'Processors', hint: '1', isNumber: true },
  { key: 'share', label: 'Shared directory', hint: 'of this host, by 9p' },
  { key: 'consoles', label: 'More consoles', hint: '0', isNumber: true },
  { key: 'append', label: 'Words for the kernel', hint: '-v' },
  { key: 'image', label: 'Another image', hint: 'its path' },
  { key: 'kernel', label: 'Another kernel', hint: 'its path' },
] as const;

function moreOf(values: Readonly<Record<string, string>>): Record<string, string | number> {
  const given = MORE.filter(({ key }) => values[key]);
  return Object.fromEntries(
    given.map((each) => [each.key, 'isNumber' in each ? Number(values[each.key]) : values[each.key]!]),
  );
}

function NewMachine({ taken, start }: { taken: readonly VmState[]; start: (body: unknown) => void }) {
  const { value: services } = useAnswer<ListedService[]>('/services');
  const [service, setService] = useState('');
  const [ports, setPorts] = useState('');
  const [memory, setMemory] = useState('');
  const [name, setName] = useState('');
  const [more, setMore] = useState<Readonly<Record<string, string>>>({});
  useEffect(() => {
    // Somebody may have chosen by now.
    setService((chosen) => chosen || (services?.[0]?.name ?? ''));
  }, [services]);
  const list = wordsIn(ports);
  const wrong = list.find((each) => !FORWARD.test(each));
  const wanted = list.filter((each) => each !== wrong).map((each) => parseForward(each).host);
  const busy = taken.find((vm) => vm.forwards.some(({ host }) => wanted.includes(host)));
  const sameName = taken.find((vm) => vm.name === (name || service));
  const why = wrong
    ? `${wrong}: a port is host:guest, such as 8080:80`
    : busy
      ? `${busy.name} has one of these ports`
      : sameName
        ? `${sameName.name} runs: give another name`
        : undefined;
  const submit = (event: Event) => {
    event.preventDefault();
    start({
      service,
      ...(name && { name }),
      ...(memory && { memory }),
      ...(list.length > 0 && { ports: list }),
      ...moreOf(more),
    });
  };
  return (
    <Panel title="New machine">
      <form class="row" onSubmit={submit}>
        <label>
          Service
          <select value={service} onChange={(event) => setService(event.currentTarget.value)}>
            {services?.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Name
          <input
            value={name}
            placeholder={service}
            pattern="\w[\w.\-]*"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <label>
          Ports
          <input
            value={ports}
            placeholder="as the service says"
            onInput={(event) => setPorts(event.currentTarget.value)}
          />
        </label>
        <label>
          Memory
          <input
            value={memory}
            placeholder="as the service says"
            pattern="[1-9]\d*[MG]"
            title="such as 256M"
            onInput={(event) => setMemory(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={why !== undefined || service === ''}>
          Start
        </button>
      </form>
      <details>
        <summary>More</summary>
        <div class="row">
          {MORE.map(({ key, label, hint }) => (
            <label key={key}>
              {label}
              <input
                value={more[key] ?? ''}
                placeholder={hint}
                onInput={(event) => setMore({ ...more, [key]: event.currentTarget.value })}
              />
            </label>
          ))}
        </div>
      </details>
      <p class="quiet">{why ?? services?.find((each) => each.name === service)?.description ?? ''}</p>
    </Panel>
  );
}
