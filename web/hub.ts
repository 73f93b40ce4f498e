import type { ServerResponse } from 'node:http';

/** How often listeners are told, in milliseconds: ten thousand lines a second become twenty messages. */
const BEAT_MS = 50;
/** A listener that has so many bytes waiting does not listen any more. */
const MOST_WAITING = 4 * 1024 * 1024;
/** How many messages wait for a beat at most: what is more is lost, and said to be. */
const MOST_HELD = 5000;

/** Tells all pages what happens, as server-sent events (HTML, section 9.2), each an array of messages. */
export class Hub {
  readonly #listeners = new Set<ServerResponse>();
  #held: unknown[] = [];
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;

  listen(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(':\n\n');
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
    response.on('error', () => this.#listeners.delete(response));
  }

  tell(message: unknown): void {
    if (this.#held.length >= MOST_HELD) this.#lost++;
    else this.#held.push(message);
    this.#timer ??= setTimeout(() => this.#flush(), BEAT_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const messages = this.#lost > 0 ? [...this.#held, { type: 'lost', count: this.#lost }] : this.#held;
    [this.#held, this.#lost] = [[], 0];
    const text = `data: ${JSON.stringify(messages)}\n\n`;
    for (const listener of this.#listeners) {
      if (listener.writableLength > MOST_WAITING) listener.destroy();
      else listener.write(text);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const listener of this.#listeners) listener.end();
  }
}
