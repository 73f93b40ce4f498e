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
