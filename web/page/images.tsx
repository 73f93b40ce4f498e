import { useState } from 'preact/hooks';
import type { ImageDiff } from '../../commands/diff.ts';
import type { ListedImage } from '../../commands/imagelist.ts';
import type { Share, UsageReport } from '../../commands/usage.ts';
import type { VolumeEntry } from '../../formats/volume.ts';
import { bytes } from '../../model/words.ts';
import { useAnswer } from './server.ts';
import { Treemap } from './treemap.tsx';
import { Panel, ProblemList } from './words.tsx';

/** The images that were built, and what is in them. */
export function Images() {
  const { value: images, error } = useAnswer<ListedImage[]>('/images');
  const [open, setOpen] = useState<string>();
  return (
    <>
      <Panel title="Images">
        <ProblemList problems={error?.problems ?? []} />
        {images?.length === 0 && <p class="quiet">None is built yet.</p>}
        <table>
          <thead>
            <tr>
              <th>Name</th>
              <th>Size</th>
              <th>On disk</th>
              <th>Built</th>
            </tr>
          </thead>
          <tbody>
            {images?.map((image) => (
              <tr key={image.name}>
                <td>
                  <button type="button" class="link" onClick={() => setOpen(image.name)}>
                    {image.name}
                  </button>
                </td>
                <td>{bytes(image.size)}</td>
                <td>{bytes(image.allocated)}</td>
                <td>{new Date(image.written).toLocaleString()}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      {open && <Browser key={`browse ${open}`} image={open} />}
      {open && <Usage key={`use ${open}`} image={open} />}
      {open && <Differences key={`differ ${open}`} image={open} others={images?.map(({ name }) => name) ?? []} />}
    </>
  );
}

function Browser({ image }: { image: string }) {
  const [path, setPath] = useState('/');
  const { value: entries, error } = useAnswer<VolumeEntry[]>(
    `/images/${image}/entries?path=${encodeURIComponent(path)}`,
  );
  const parts = path.split('/').filter((part) => part !== '');
  return (
    <Panel title={`${image}: ${path}`}>
      <nav class="row" aria-label="Directories above">
        <button type="button" class="link" onClick={() => setPath('/')}>
          /
        </button>
        {parts.map((part, n) => (
          <button type="button" class="link" key={part} onClick={() => setPath(`/${parts.slice(0, n + 1).join('/')}`)}>
            {part}
          </button>
        ))}
      </nav>
      <ProblemList problems={error?.problems ?? []} />
      <table>
        <thead>
          <tr>
            <th>Name</th>
            <th>Mode</th>
            <th>Owner</th>
            <th>Size</th>
          </tr>
        </thead>
        <tbody>
          {entries?.map((entry) => {
            const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
            return (
              <tr key={entry.path}>
                <td>
                  {entry.type === 'directory' ? (
                    <button type="button" class="link" onClick={() => setPath(`/${entry.path}`)}>
                      {name}/
                    </button>
                  ) : (
                    `${name}${entry.type === 'symlink' ? ` → ${entry.target}` : ''}`
                  )}
                </td>
                <td>{entry.mode.toString(8).padStart(4, '0')}</td>
                <td>
                  {entry.uid}:{entry.gid}
                </td>
                <td>{entry.type === 'file' ? bytes(entry.size) : entry.type}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Panel>
  );
}

/** What fills an image, as bars. */
function Usage({ image }: { image: string }) {
  const { value: usage, error } = useAnswer<UsageReport>(`/images/${image}/usage`);
  if (usage === undefined) return <ProblemList problems={error?.problems ?? []} />;
  const { contents, slack, tables, free, directories, layers } = usage;
  return (
    <Panel title={`What fills ${image}`}>
      <p class="quiet">
        {bytes(contents)} of files, {bytes(slack)} unused in their last blocks, {bytes(tables)} of tables, {bytes(free)}{' '}
        free
      </p>
      <Treemap shares={directories} />
      <div class="columns">
        <Bars title="By directory" shares={directories} all={contents} />
        {layers && <Bars title="By what brought it" shares={layers} all={contents} />}
      </div>
    </Panel>
  );
}

function Bars({ title, shares, all }: { title: string; shares: readonly Share[]; all: number }) {
  return (
    <div>
      <h3>{title}</h3>
      <ul class="plain">
        {shares.slice(0, 12).map(({ name, size }) => (
          <li key={name} class="bar">
            <span style={{ width: `${(100 * size) / Math.max(1, all)}%` }} />
            <em>
              {name || '/'} <span class="quiet">{bytes(size)}</span>
            </em>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** What another image has otherwise. */
function Differences({ image, others }: { image: string; others: readonly string[] }) {
  const [other, setOther] = useState('');
  const { value: found, error } = useAnswer<ImageDiff>(other === '' ? undefined : `/images/${other}/diff/${image}`);
  return (
    <Panel title={`What differs in ${image}`}>
      <label class="short">
        Compared with
        <select value={other} onChange={(event) => setOther(event.currentTarget.value)}>
          <option value="">choose an image</option>
          {others
            .filter((each) => each !== image)
            .map((each) => (
              <option key={each}>{each}</option>
            ))}
        </select>
      </label>
      <ProblemList problems={error?.problems ?? []} />
      {found?.changes.length === 0 && (
        <p class="quiet">
          {found.byte
            ? `Only bytes: the first at ${found.byte.position}, in ${found.byte.where ?? 'an unknown place'}.`
            : 'Nothing.'}
        </p>
      )}
      <ul class="plain">
        {found?.changes.slice(0, MOST_CHANGES).map(({ path, change, origins }) => (
          <li key={path}>
            <span class="state">{change}</span> /{path}{' '}
            <span class="quiet">{origins.after ?? origins.before ?? ''}</span>
          </li>
        ))}
      </ul>
      {found && found.changes.length > MOST_CHANGES && (
        <p class="quiet">and {found.changes.length - MOST_CHANGES} more: smol diff tells all</p>
      )}
    </Panel>
  );
}

const MOST_CHANGES = 200;
