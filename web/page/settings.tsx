import { useEffect, useState } from 'preact/hooks';
import type { Proposal, RunSettings, Settings } from '../../commands/settings.ts';
import type { ProblemParts } from '../../model/problem.ts';
import { ask, type Refused, useAnswer } from './server.ts';
import { Panel, ProblemList, wordsIn } from './words.tsx';

/** How a service runs, to be changed in its manifest: what would be written is seen before it is. */
export function ServiceSettings({ service, changed }: { service: string; changed: () => void }) {
  const { value: settings, again } = useAnswer<Settings>(`/services/${service}/settings`);
  const [memory, setMemory] = useState('');
  const [cpus, setCpus] = useState('');
  const [ports, setPorts] = useState('');
  const [proposal, setProposal] = useState<Proposal>();
  const [problems, setProblems] = useState<readonly ProblemParts[]>([]);
  useEffect(() => {
    if (settings === undefined) return;
    setMemory(settings.run.memory ?? '');
    setCpus(settings.run.cpus?.toString() ?? '');
    setPorts(settings.run.ports?.join(' ') ?? '');
    setProposal(undefined);
  }, [settings]);
  if (settings === undefined) return null;
  const list = wordsIn(ports);
  const run: RunSettings = {
    ...(memory !== '' && { memory }),
    ...(cpus !== '' && { cpus: Number(cpus) }),
    ...(list.length > 0 && { ports: list }),
  };
  const refused = (error: Refused) => setProblems(error.problems);
  const propose = (event: Event) => {
    event.preventDefault();
    setProblems([]);
    ask<Proposal>(`/services/${service}/settings/proposal`, 'POST', run).then(setProposal, refused);
  };
  const write = () => {
    ask<Settings>(`/services/${service}/settings`, 'POST', { ...run, digest: proposal!.digest }).then(() => {
      again();
      changed();
    }, refused);
  };
  const edit = (set: (value: string) => void) => (event: { currentTarget: { value: string } }) => {
    set(event.currentTarget.value);
    setProposal(undefined);
  };
  const isChange = proposal?.lines.some(({ kind }) => kind !== 'same');
  return (
    <Panel title={`How ${service} runs`}>
      <form class="row" onSubmit={propose}>
        <label>
          Memory
          <input value={memory} placeholder="256M" onInput={edit(setMemory)} />
        </label>
        <label>
          Processors
          <input value={cpus} placeholder="1" inputMode="numeric" onInput={edit(setCpus)} />
        </label>
        <label>
          Ports
          <input value={ports} placeholder="8080:80" onInput={edit(setPorts)} />
        </label>
        <button type="submit" disabled={!settings.ours}>
          Show what changes
        </button>
      </form>
      <p class="quiet">
        {settings.ours ? settings.file : `${service} comes with smol: copy its folder into services/ to change it`}
      </p>
      <ProblemList problems={problems} />
      {proposal && !isChange && <p class="quiet">Nothing changes.</p>}
      {proposal && isChange && (
        <>
          <pre class="diff">
            {proposal.lines.map(({ kind, text }, n) => (
              <span key={n} class={kind}>
                {`${{ same: ' ', removed: '-', added: '+' }[kind]} ${text}\n`}
              </span>
            ))}
          </pre>
          <div class="row">
            <button type="button" class="main" onClick={write}>
              Write it
            </button>
            <button type="button" onClick={() => setProposal(undefined)}>
              Leave it
            </button>
          </div>
        </>
      )}
    </Panel>
  );
}
