import { Records } from '../cache/records.ts';
import { Store } from '../cache/store.ts';
import { Engine } from '../engine/engine.ts';
import { forecast } from '../engine/forecast.ts';
import { History } from '../engine/history.ts';
import { Publications } from '../engine/publications.ts';
import type { Workshop } from '../engine/workshop.ts';
import type { Step, Task } from '../model/step.ts';
import { stepsOf } from '../plan/graph.ts';
import { Bench, median, medianHere, type Row, tell, times } from './rig.ts';

/** How many steps each layer of the graph has, and how many of the layer below each of them takes. */
const WIDTH = 100;
const INPUTS = 3;

const task: Task = {
  kind: 'note',
  version: 1,
  summary: 'a small text',
  pool: 'cpu',
  run: ({ store, options }) => store.putBytes(Buffer.from(JSON.stringify(options))),
};

/** The engine alone, over a graph of steps that do next to nothing; `ninja` on a graph of the same shape beside it. */
export async function measure(): Promise<void> {
  for (const count of [1_000, 10_000]) await measureGraph(count);
}

async function measureGraph(count: number): Promise<void> {
  const bench = new Bench();
  try {
    const names = Array.from({ length: count }, (_, n) => `s${n}`);
    const inputsOf = (n: number) =>
      n < WIDTH ? [] : Array.from({ length: INPUTS }, (_, k) => n - WIDTH - (n % WIDTH) + ((n + k) % WIDTH));
    bench.write(
      'build.ninja',
      `rule note\n  command = echo $out > $out\n${names
        .map(
          (name, n) =>
            `build ${name}: note ${inputsOf(n)
              .map((input) => `s${input}`)
              .join(' ')}\n`,
        )
        .join('')}`,
    );
    const ninja = bench.time('ninja', []);
    const ninjaIdle = median(() => bench.time('ninja', []));

    const steps: Step[] = [];
    for (const [n, name] of names.entries()) {
      const inputs = Object.fromEntries(inputsOf(n).map((input) => [`s${input}`, steps[input]!]));
      steps.push({ name, task, options: { name }, inputs });
    }
    const goals = steps.slice(-WIDTH);
    const cold = workshop(bench);
    const started = performance.now();
    await realise(cold, goals);
    const first = { ms: performance.now() - started };
    const each = (ms: number) => `${(ms / count).toFixed(3)} ms a step`;
    const row = (way: string, measured: Row['measured'], base: Row['measured']): Row => ({
      way,
      measured,
      told: `${each(measured.ms)}, ${times(measured, base)}`,
    });
    tell(`${count} synthetic steps, ${INPUTS} inputs each, in layers of ${WIDTH}`, [
      { way: 'ninja: all run, each an echo', measured: ninja, told: each(ninja.ms) },
      row('smol: all run, each a text for the store', first, ninja),
      { way: 'ninja: nothing to do', measured: ninjaIdle, told: each(ninjaIdle.ms) },
      row('smol: planned, from key records', await medianHere(() => plan(bench, goals)), ninjaIdle),
      row('smol: nothing to do', await medianHere(() => realise(workshop(bench), goals)), ninjaIdle),
    ]);
  } finally {
    bench.remove();
  }
}

async function realise(workshop: Workshop, goals: readonly Step[]): Promise<void> {
  const engine = new Engine(workshop);
  await Promise.all(goals.map((goal) => engine.realise(goal)));
}

async function plan(bench: Bench, goals: readonly Step[]): Promise<void> {
  await forecast(stepsOf(goals), workshop(bench), async () => undefined);
}

function workshop(bench: Bench): Workshop {
  const cache = bench.path('cache');
  return {
    store: new Store(cache),
    records: new Records(cache),
    history: new History(bench.path('history')),
    publications: new Publications(bench.path('state')),
    pools: { net: 4, cpu: 2, disk: 2, vm: 1 },
    scratch: bench.path('scratch'),
    locks: bench.path('locks'),
    toolDigest: async () => '',
    emit: () => undefined,
    signal: new AbortController().signal,
  };
}
