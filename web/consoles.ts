import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { logTail, openConsole } from '../commands/machines.ts';
import type { Caller } from '../commands/session.ts';
import { problemsOf } from '../model/problem.ts';

/** Beyond this the page does not keep up, and the guest is made to wait. */
const MOST_WAITING = 1024 * 1024;
const SCROLLBACK = 64 * 1024;
/** WebSocket's code for who ends it because of an error (RFC 6455, section 7.4.1). */
const FAILED = 1011;

/** Consoles of VMs in the page: what the console said before, then what it says; binary frames, as they are. */
export class Consoles {
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Takes over a request that was let in. */
  take(request: IncomingMessage, socket: Duplex, head: Buffer, vm: string): void {
    this.#server.handleUpgrade(request, socket, head, (page) => void this.#join(page, vm));
  }

  close(): void {
    for (const page of this.#server.clients) page.terminate();
    this.#server.close();
  }

  async #join(page: WebSocket, vm: string): Promise<void> {
    const over = new AbortController();
    page.on('close', () => over.abort());
    page.on('error', () => page.terminate());
    try {
      await using line = await openConsole(this.#caller, vm);
      page.send(await logTail(this.#caller, vm, SCROLLBACK));
      line.socket.on('data', (bytes: Buffer) => {
        page.send(bytes, () => page.bufferedAmount < MOST_WAITING && line.socket.resume());
        if (page.bufferedAmount > MOST_WAITING) line.socket.pause();
      });
      page.on('message', (bytes: Buffer) => line.socket.write(bytes));
      await new Promise<void>((resolve) => {
        line.socket.on('close', resolve);
        over.signal.addEventListener('abort', () => resolve());
      });
      page.close(1000, 'the VM has ended');
    } catch (error) {
      const [problem] = problemsOf(error);
      page.close(FAILED, (problem?.message ?? String(error)).slice(0, 120));
    }
  }
}
