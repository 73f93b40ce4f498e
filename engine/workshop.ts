import type { Records } from '../cache/records.ts';
import type { RemoteCache } from '../cache/remote.ts';
import type { Store } from '../cache/store.ts';
import type { Digest } from '../model/artifact.ts';
import type { Emit } from '../model/event.ts';
import type { Pool } from '../model/step.ts';
import type { ExecutorSettings } from './executor.ts';
import type { History } from './history.ts';
import type { Publications } from './publications.ts';

/** What an engine works with. */
export interface Workshop {
  readonly store: Store;
  readonly records: Records;
  /** What other machines share with this one, if they do. */
  readonly remote?: RemoteCache | undefined;
  readonly history: History;
  readonly publications: Publications;
  /** What runs steps on other hosts, if anything does. */
  readonly executor?: ExecutorSettings | undefined;
  /** How many steps may hold each pool at once. */
  readonly pools: Readonly<Record<Pool, number>>;
  /** For scratch directories. */
  readonly scratch: string;
  /** For the locks of keys that are being made. */
  readonly locks: string;
  /** The digest of a program of the host, for keys. Throws a problem if there is none. */
  readonly toolDigest: (program: string) => Promise<Digest>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}
