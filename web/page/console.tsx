import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { useEffect, useRef, useState } from 'preact/hooks';

const AGAIN_MS = 1500;

/** The console of a VM: what it said before, and a place to type. Connects again when the connection breaks off. */
export default function Console({ name, close }: { name: string; close: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  const [state, setState] = useState('connecting');
  useEffect(() => {
    const terminal = new Terminal({ scrollback: 10_000, fontSize: 13, cursorBlink: true, screenReaderMode: true });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(place.current!);
    fit.fit();
    terminal.focus();
    const resized = new ResizeObserver(() => fit.fit());
    resized.observe(place.current!);
    let socket: WebSocket | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const open = () => {
      socket = new WebSocket(`ws://${location.host}/api/v1/machines/${name}/console`);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => {
        terminal.reset();
        setState('connected');
      };
      socket.onmessage = ({ data }) => terminal.write(new Uint8Array(data as ArrayBuffer));
      socket.onclose = ({ code, reason }) => {
        setState(reason || 'the connection broke off');
        if (code === 1006) timer = setTimeout(open, AGAIN_MS);
      };
    };
    terminal.onData((text) => socket?.readyState === WebSocket.OPEN && socket.send(new TextEncoder().encode(text)));
    open();
    return () => {
      clearTimeout(timer);
      if (socket) socket.onclose = null;
      socket?.close();
      resized.disconnect();
      terminal.dispose();
    };
  }, [name]);
  return (
    <section class="panel at-console" aria-label={`Console of ${name}`}>
      <header>
        <h2>Console of {name}</h2>
        <span class="quiet" role="status">
          {state}
        </span>
        <div class="tools">
          <button type="button" onClick={close}>
            Leave
          </button>
        </div>
      </header>
      <div class="terminal" ref={place} />
    </section>
  );
}
