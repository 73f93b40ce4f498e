import '@xterm/xterm/css/xterm.css';
import './style.css';
import { render } from 'preact';
import { lazy, Suspense } from 'preact/compat';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { Builds } from './builds.tsx';
import { Images } from './images.tsx';
import { Machines } from './machines.tsx';
import { type Message, useMessages } from './server.ts';
import { System } from './system.tsx';

// The terminal is most of the page's weight, and most visits need none.
const Console = lazy(() => import('./console.tsx'));

const VIEWS = ['machines', 'builds', 'images', 'system'] as const;
type View = (typeof VIEWS)[number];

function viewIn(hash: string): View {
  return VIEWS.find((view) => hash === `#${view}`) ?? 'machines';
}

function App() {
  const [view, setView] = useState(viewIn(location.hash));
  const [atConsole, setAtConsole] = useState<string>();
  const [bug, setBug] = useState<string>();
  useEffect(() => {
    const follow = () => setView(viewIn(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  useMessages(useCallback((message: Message) => message.type === 'bug' && setBug(message.text), []));
  return (
    <>
      <header class="top">
        <h1>smol</h1>
        <nav aria-label="Views">
          {VIEWS.map((each) => (
            <a key={each} href={`#${each}`} aria-current={each === view ? 'page' : undefined}>
              {each}
            </a>
          ))}
        </nav>
      </header>
      <main>
        {bug && (
          <div class="problem" role="alert">
            <strong>A bug in smol, not a mistake of yours:</strong> {bug}
          </div>
        )}
        {view === 'machines' && <Machines openConsole={setAtConsole} />}
        {view === 'builds' && <Builds />}
        {view === 'images' && <Images />}
        {view === 'system' && <System />}
        {atConsole && (
          <Suspense fallback={<p class="quiet">Loading the terminal.</p>}>
            <Console key={atConsole} name={atConsole} close={() => setAtConsole(undefined)} />
          </Suspense>
        )}
      </main>
    </>
  );
}

render(<App />, document.getElementById('app')!);
