import type { Problem } from './problem.ts';

/** Where a VM's start has got to; milliseconds since QEMU was started. */
export interface Clocks {
  /** The first byte on the console: firmware and kernel. */
  console?: number;
  /** The first byte that user land wrote. */
  userland?: number;
  /** The service answered. */
  ready?: number;
}

/** What a cache that machines share was good for in a build. */
export interface RemoteSummary {
  /** Steps whose results it had, and had not. */
  readonly hits: number;
  readonly misses: number;
  /** Artifacts that would have taken longer to fetch than to make. */
  readonly slower: number;
  /** Bytes. */
  readonly received: number;
  readonly sent: number;
  /** Why it was given up, or takes nothing, if so. */
  readonly trouble?: string | undefined;
}

/** What a command tells while it works. Reporters render it; `--json` prints it as it is, one event a line. */
export type Event =
  | { type: 'build-started'; targets: string[]; steps: number }
  | { type: 'step-started'; step: string; kind: string }
  | { type: 'step-progress'; step: string; done: number; total?: number }
  | { type: 'step-log'; step: string; line: string }
  | {
      type: 'step-finished';
      step: string;
      kind: string;
      cached: boolean;
      /** Of what is cached: whether only another machine had it. */
      remote?: boolean;
      ms: number;
      key: string;
      digest: string;
      size: number;
      /** The names of the steps before it. */
      inputs: string[];
    }
  | { type: 'step-failed'; step: string; kind: string; ms: number }
  | { type: 'step-healed'; step: string; blob: string }
  | { type: 'pinned'; source: string; sha256: string; size: number }
  | { type: 'image'; target: string; file: string; size: number; digest: string; cached: boolean }
  | { type: 'build-finished'; ok: boolean; ran: number; cached: number; ms: number; remote?: RemoteSummary }
  | { type: 'verified'; steps: number; ms: number }
  | { type: 'watching' }
  | { type: 'rebuilt'; targets: string[]; changed: string[]; ran: number; ms: number }
  | { type: 'installing'; packages: string[] }
  | { type: 'notice'; text: string }
  | { type: 'problem'; problem: Problem }
  | {
      type: 'tested';
      target: string;
      ok: boolean;
      cached: boolean;
      checks: { name: string; ms: number; failure: string | undefined }[];
    }
  | { type: 'booted'; vm: string; round: number; of: number; clocks: Clocks }
  | { type: 'vm-starting'; vm: string; command: string[]; accelerator: string }
  | { type: 'vm-console'; vm: string; bytes: Uint8Array }
  | { type: 'vm-ready'; vm: string; urls: string[]; clocks: Clocks }
  | { type: 'vm-stopping'; vm: string; by: 'power button' | 'quit' }
  | { type: 'vm-stopped'; vm: string; how: 'powered off' | 'ended by us' };

export type Emit = (event: Event) => void;
