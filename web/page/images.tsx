import { useState } from 'preact/hooks';
import type { ListedImage } from '../../commands/imagelist.ts';
import type { VolumeEntry } from '../../formats/volume.ts';
import { useAnswer } from './server.ts';
import { Panel, ProblemList, size } from './words.tsx';

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
                <td>{size(image.size)}</td>
                <td>{size(image.allocated)}</td>
                <td>{new Date(image.written).toLocaleString()}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
      {open && <Browser key={open} image={open} />}
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
                <td>{entry.type === 'file' ? size(entry.size) : entry.type}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Panel>
  );
}
