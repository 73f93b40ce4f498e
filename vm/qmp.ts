import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** QEMU's machine protocol: docs/interop/qmp-spec.rst. One command at a time is all that is needed. */
export class Qmp implements Disposable {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** Rejects with the socket's error, such as ECONNREFUSED where no QEMU listens any more. */
  static async open(file: string): Promise<Qmp> {
    const socket = connect(file);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => undefined); // QEMU going away in the middle ends the lines
    const qmp = new Qmp(socket);
    await qmp.#next(); // its greeting
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  async execute(command: string): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute: command })}\n`);
    for (;;) {
      const message = await this.#next();
      if (message === undefined || 'return' in message) return message?.return;
      if ('error' in message) throw new Error(`QEMU refuses ${command}: ${JSON.stringify(message.error)}`);
    }
  }

  async #next(): Promise<Record<string, unknown> | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : (JSON.parse(value) as Record<string, unknown>);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
