import type { FSWatcher } from 'chokidar';

/** Editors write a file in several goes, and people save several files at once: milliseconds of rest that end a change. */
const REST_MS = 60;

/** Files and folders of the host, watched for changes of what is in them, and for their coming and going. */
export class Watcher implements AsyncDisposable {
  #paths: readonly string[] = [];
  #watcher: FSWatcher | undefined;
  /** What happened first to each path. */
  readonly #changed = new Map<string, string>();
  #last = 0;
  #wake: () => void = () => undefined;

  /** Watches these paths and no others; what changed before is not forgotten. When this settles, no change is missed. */
  async look(paths: readonly string[]): Promise<void> {
    const wanted = [...new Set(paths)].sort();
    if (wanted.join('\0') === this.#paths.join('\0')) return;
    const { watch } = await import('chokidar');
    const before = this.#watcher;
    const watcher = watch(wanted, { ignoreInitial: true, ignorePermissionErrors: true });
    this.#watcher = watcher;
    this.#paths = wanted;
    watcher.on('all', (event, path) => {
      const first = this.#changed.get(path) ?? event;
      // Editors write temporary files beside what they save.
      if (first === 'add' && event === 'unlink') this.#changed.delete(path);
      else this.#changed.set(path, first);
      this.#last = performance.now();
      this.#wake();
    });
    await new Promise<void>((resolve, reject) => watcher.once('ready', resolve).once('error', reject));
    await before?.close();
  }

  /** What was changed since this was last asked. Waits for the first change, and then for a rest; empty if aborted. */
  async changes(signal: AbortSignal): Promise<string[]> {
    const stop = () => this.#wake();
    signal.addEventListener('abort', stop);
    try {
      while (!signal.aborted) {
        const left = this.#changed.size === 0 ? undefined : REST_MS - (performance.now() - this.#last);
        if (left !== undefined && left <= 0) break;
        await new Promise<void>((resolve) => {
          const timer = left === undefined ? undefined : setTimeout(resolve, left);
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      const found = signal.aborted ? [] : [...this.#changed.keys()].sort();
      this.#changed.clear();
      return found;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Whether something was changed that nobody has asked for yet. */
  get hasNews(): boolean {
    return this.#changed.size > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher?.close();
  }
}
