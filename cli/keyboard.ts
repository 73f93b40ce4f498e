import type { ConsoleLine } from '../commands/machines.ts';

const CTRL_C = 3;

/** What is typed, key by key, for a guest's console; ^C is ours. Not open where standard input is no terminal. */
export function openKeyboard(interrupt: () => void): ({ input: NodeJS.ReadableStream } & Disposable) | undefined {
  const { stdin } = process;
  if (!stdin.isTTY) return undefined;
  const watch = (bytes: Buffer) => {
    if (bytes.includes(CTRL_C)) interrupt();
  };
  stdin.setRawMode(true);
  stdin.on('data', watch);
  return {
    input: stdin,
    [Symbol.dispose]: () => {
      stdin.off('data', watch);
      stdin.setRawMode(false);
      stdin.pause();
    },
  };
}

/** Takes this process's terminal over for a guest, which gets each key as it is. */
export function sitDown(): { input: NodeJS.ReadableStream; write(bytes: Uint8Array): void } & Disposable {
  const { stdin, stdout } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  return {
    input: stdin,
    write: (bytes) => void stdout.write(bytes),
    [Symbol.dispose]: () => {
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
    },
  };
}

/** What leaves a console, as in telnet(1). */
const LEAVE = 0x1d;

/**
 * Joins the terminal to a console until ^] is typed, the VM ends or the signal is aborted; without a terminal until the input
 * ends. A serial line has no size: with `resize` the guest's shell is told that of the terminal, now and when it changes.
 */
export async function attach(
  { socket, before }: ConsoleLine,
  name: string,
  {
    signal,
    write,
    resize,
  }: {
    readonly signal: AbortSignal;
    readonly write: (bytes: Uint8Array) => Promise<void>;
    readonly resize: boolean;
  },
): Promise<void> {
  const { stdin, stdout, stderr } = process;
  const tellSize = () => socket.write(`stty rows ${stdout.rows} columns ${stdout.columns}\r`);
  if (stderr.isTTY) stderr.write(`the console of ${name}; ^] leaves it running\n`);
  if (before !== '') await write(Buffer.from(`${before}\r\n`));
  if (stdin.isTTY) stdin.setRawMode(true);
  if (resize && stdout.isTTY) {
    tellSize();
    stdout.on('resize', tellSize);
  }
  try {
    await new Promise<void>((resolve) => {
      stdin.on('data', (bytes: Buffer) => {
        const at = bytes.indexOf(LEAVE);
        socket.write(at < 0 ? bytes : bytes.subarray(0, at));
        if (at >= 0) resolve();
      });
      stdin.on('end', () => resolve());
      socket.on('data', (bytes: Buffer) => void write(bytes));
      socket.on('close', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    stdout.off('resize', tellSize);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    if (stderr.isTTY) stderr.write(`\nleft ${name}\n`);
  }
}
