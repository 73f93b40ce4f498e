import type { CacheReport } from '../../commands/cache.ts';
import type { Finding } from '../../commands/doctor.ts';
import { bytes, duration } from '../../model/words.ts';
import { useAnswer } from './server.ts';
import { Panel, ProblemList } from './words.tsx';

/** The host and the cache. */
export function System() {
  return (
    <>
      <Host />
      <Cache />
    </>
  );
}

function Cache() {
  const { value: cache, error } = useAnswer<CacheReport>('/cache');
  return (
    <Panel title="The cache">
      <ProblemList problems={error?.problems ?? []} />
      {cache && (
        <>
          <p>
            {bytes(cache.bytes)} in {cache.blobs} blobs, of at most {bytes(cache.limit)}, in <code>{cache.folder}</code>
          </p>
          <p class="quiet">
            {bytes(cache.kept)} of it stay: images in place were made of them, or they were used within the hour. Found
            done in it so far: {cache.hits.steps} steps, which had taken {duration(cache.hits.ms)}.
          </p>
          <ul class="plain">
            {cache.projects.map(({ folder, bytes: kept }) => (
              <li key={folder}>
                {bytes(kept)} for <code>{folder}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  );
}

/** What this host has and lacks, as smol doctor says it. */
function Host() {
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
