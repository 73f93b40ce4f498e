import { type FSWatcher, lstatSync, type Stats, watch } from 'node:fs';
import path from 'node:path';
import { signature, walk } from './files.ts';

/** Editors write a file in several goes, and people save several files at once: milliseconds of rest that end a change. */
const REST_MS = 60;
/** How often one looks where the system tells nothing: network file systems, too many files, BSD's kqueue. */
const POLL_MS = 1000;
/** Looking costs at most one part in so many of the time. */
const PATIENCE = 50;

/** What tells of each file and folder whether it was changed. */
type Snapshot = ReadonlyMap<string, string>;

/**
 * Files and folders of the host, watched for changes of what is in them, and for their coming and going. What the system
 * tells only says when to look; what has changed is what differs from what was seen before. So nothing is missed, whatever
 * the system leaves out, and a file that came and went is no change.
 */
export class Watcher implements Disposable {
  /** What was seen below each path that is watched. */
  #seen: ReadonlyMap<string, Snapshot> = new Map();
  readonly #watches = new Map<string, FSWatcher>();
  #wake: () => void = () => undefined;

  /** Watches these paths and no others. Of those that were watched before, what has changed since is not forgotten. */
  look(paths: readonly string[]): void {
    this.#seen = new Map(paths.map((file) => [file, this.#seen.get(file) ?? snapshot(file)]));
    this.#listen();
  }

  /** What was changed since this was last asked. Waits for the first change, and then for a rest; empty if aborted. */
  async changes(signal: AbortSignal): Promise<string[]> {
    let changed: string[] = [];
    for (let wait = 0; changed.length === 0; ) {
      await this.#stir(wait, signal);
      if (signal.aborted) return [];
      const started = performance.now();
      let now = this.#look();
      wait = Math.max(POLL_MS, PATIENCE * (performance.now() - started));
      if (differences(this.#seen, now).length === 0) continue;
      for (let isMoving = true; isMoving && !signal.aborted; ) {
        await this.#stir(REST_MS, signal, false);
        const next = this.#look();
        isMoving = differences(now, next).length > 0;
        now = next;
      }
      changed = differences(this.#seen, now);
      this.#seen = now;
      this.#listen();
    }
    return changed;
  }

  /** Whether something was changed that nobody has asked for yet. */
  hasNews(): boolean {
    return differences(this.#seen, this.#look()).length > 0;
  }

  #look(): ReadonlyMap<string, Snapshot> {
    return new Map([...this.#seen.keys()].map((file) => [file, snapshot(file)]));
  }

  /** Waits so many milliseconds; or less, if the system tells of something or the signal is aborted. */
  async #stir(ms: number, signal: AbortSignal, byEvents = true): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
      if (byEvents) this.#wake = end;
      if (signal.aborted) end();
    });
  }

  /** Has the system tell of what happens in every folder that was seen, or that a file is in. */
  #listen(): void {
    const folders = new Set<string>();
    for (const [file, seen] of this.#seen) {
      folders.add(path.dirname(file));
      for (const [name, what] of seen) if (what.startsWith(FOLDER)) folders.add(name);
    }
    for (const [folder, watcher] of this.#watches) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watches.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watches.has(folder)) continue;
      try {
        const watcher = watch(folder, () => this.#wake());
        watcher.on('error', () => watcher.close());
        this.#watches.set(folder, watcher);
      } catch {
        // It is gone, or there are too many to be told of: looking now and then has to do.
      }
    }
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watches.values()) watcher.close();
  }
}

const FOLDER = 'folder ';

/** A file, or a folder and all that is below it. Of folders only the mode counts: what comes and goes is seen itself. */
function snapshot(file: string): Snapshot {
  const found = new Map<string, string>();
  const see = (name: string) => {
    const stat = statOf(name);
    if (stat?.isDirectory()) found.set(name, `${FOLDER}${stat.mode}`);
    else if (stat !== undefined) found.set(name, `${stat.mode} ${stat.mtimeMs} ${signature(name) ?? ''}`);
    return stat;
  };
  if (see(file)?.isDirectory()) for (const { path: name } of walkIfThere(file)) see(path.join(file, name));
  return found;
}

function statOf(file: string): Stats | undefined {
  try {
    return lstatSync(file, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** A folder may go while it is read. */
function walkIfThere(folder: string): ReturnType<typeof walk> {
  try {
    return walk(folder);
  } catch {
    return [];
  }
}

/** The paths that are there in only one of two states, or are not the same in both; sorted. */
function differences(before: ReadonlyMap<string, Snapshot>, after: ReadonlyMap<string, Snapshot>): string[] {
  const changed = new Set<string>();
  for (const [root, now] of after) {
    const then = before.get(root) ?? now;
    for (const name of new Set([...then.keys(), ...now.keys()]))
      if (then.get(name) !== now.get(name)) changed.add(name);
  }
  return [...changed].sort();
}
