import type { Finding } from '../../commands/doctor.ts';
import { useAnswer } from './server.ts';
import { Panel, ProblemList } from './words.tsx';

/** What this host has and lacks, as smol doctor says it. */
export function System() {
  const { value: findings, error } = useAnswer<Finding[]>('/system');
  return (
    <Panel title="This host">
      <ProblemList problems={error?.problems ?? []} />
      {findings === undefined && error === undefined && (
        <p class="quiet">Looking; a tiny guest tries each accelerator once.</p>
      )}
      <ul class="plain">
        {findings?.map(({ what, state, detail, fix }) => (
          <li key={what}>
            <span class={`state ${state}`}>{state}</span> <strong>{what}</strong> {detail}
            {fix && <p class="quiet">{fix}</p>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
