import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Records } from '../../cache/records.ts';
import { Store } from '../../cache/store.ts';
import { Engine, type EngineOptions } from '../../engine/engine.ts';
import { History } from '../../engine/history.ts';
import { Publications } from '../../engine/publications.ts';
import { type Made, mismatch } from '../../engine/reproduce.ts';
import { urgencies } from '../../engine/urgency.ts';
import type { Workshop } from '../../engine/workshop.ts';
import type { Blob } from '../../model/artifact.ts';
import type { Event } from '../../model/event.ts';
import type { Json } from '../../model/json.ts';
import type { Source, Step, StepContext, Task } from '../../model/step.ts';
import { stepsOf } from '../../plan/graph.ts';

/** A cache on disk, and engines over it, one a build. */
class Bench {
  readonly folder: string;
  readonly events: Event[] = [];
  /** The names of steps in the order in which they were run. */
  readonly ran: string[] = [];
  readonly store: Store;
  readonly #work: (context: StepContext, name: string) => Promise<string>;

  constructor(t: ExecutionContext, work: (context: StepContext, name: string) => Promise<string>) {
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'smol-engine-'));
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    this.store = new Store(this.folder);
    this.#work = work;
  }

  engine(options: EngineOptions = {}): Engine {
    this.ran.length = 0;
    const workshop: Workshop = {
      store: this.store,
      records: new Records(this.folder),
      history: new History(path.join(this.folder, 'history')),
      publications: new Publications(this.folder),
      pools: { net: 2, cpu: 2, disk: 1, vm: 1 },
      scratch: path.join(this.folder, 'scratch'),
      locks: path.join(this.folder, 'locks'),
      toolDigest: async (program) => `digest of ${program}`,
      emit: (event) => this.events.push(event),
      signal: new AbortController().signal,
    };
    return new Engine(workshop, options);
  }

  readonly #task: Task = {
    kind: 'test',
    version: 1,
    summary: '',
    pool: 'cpu',
    run: async (context) => {
      const name = String((context.options as { name: string }).name);
      this.ran.push(name);
      return this.store.putBytes(Buffer.from(await this.#work(context, name)));
    },
  };

  step(name: string, inputs: Record<string, Step> = {}, more: Partial<Step> = {}): Step {
    return { name, task: this.#task, options: { name }, inputs, ...more };
  }

  async text(blob: Blob | { digest: string }): Promise<string> {
    return (await this.store.readBytes(blob.digest)).toString();
  }

  blobFile(digest: string): string {
    return path.join(
      this.folder,
      'blobs',
      'content-v2',
      'sha256',
      digest.slice(0, 2),
      digest.slice(2, 4),
      digest.slice(4),
    );
  }
}

/** A source that is what the function says. */
function sourceOf(value: () => Json): Source {
  return { name: 'source', known: async () => value(), identify: async () => value() };
}

const echo = async (context: StepContext, name: string) =>
  `${name}(${Object.values(context.inputs)
    .map((input) => input.digest.slice(0, 4))
    .join(',')})${context.identity ?? ''}`;

test('a step is run once, however many need it, and not again', async (t) => {
  const bench = new Bench(t, echo);
  const base = bench.step('base');
  const top = bench.step('top', { left: bench.step('left', { base }), right: bench.step('right', { base }) });
  const first = await bench.engine().realise(top);
  t.deepEqual([...bench.ran].sort(), ['base', 'left', 'right', 'top']);
  t.false(first.cached);
  const second = await bench.engine().realise(top);
  t.deepEqual(bench.ran, []);
  t.true(second.cached);
  t.is(second.artifact.digest, first.artifact.digest);
});

test('an output that is the same stops the cascade', async (t) => {
  let content = 'one';
  const bench = new Bench(t, async (context, name) =>
    name === 'lower' ? String(context.identity).toLowerCase() : echo(context, name),
  );
  const source = sourceOf(() => content);
  const top = bench.step('top', { lower: bench.step('lower', {}, { source }) });
  await bench.engine().realise(top);
  content = 'ONE';
  await bench.engine().realise(top);
  t.deepEqual(bench.ran, ['lower']);
  content = 'two';
  await bench.engine().realise(top);
  t.deepEqual(bench.ran, ['lower', 'top']);
});

test('only what is needed of a cache with holes is made again', async (t) => {
  const bench = new Bench(t, echo);
  let suffix = '';
  const low = bench.step('low');
  const middle = bench.step('middle', { low });
  const top = bench.step('top', { middle }, { source: sourceOf(() => suffix) });
  const engine = bench.engine();
  await engine.realise(top);
  const lowDigest = (await engine.realise(low)).artifact.digest;
  const middleDigest = (await engine.realise(middle)).artifact.digest;

  rmSync(bench.blobFile(lowDigest));
  await bench.engine().realise(top);
  t.deepEqual(bench.ran, [], 'nobody needs it');
  suffix = 'changed';
  await bench.engine().realise(top);
  t.deepEqual(bench.ran, ['top'], 'its input is whole');
  rmSync(bench.blobFile(middleDigest));
  suffix = 'again';
  await bench.engine().realise(top);
  t.deepEqual(bench.ran, ['low', 'middle', 'top']);
});

test('a damaged blob is noticed when it is read, and made again', async (t) => {
  const bench = new Bench(t, async (context, name) => {
    if (name !== 'top') return `the content of ${name}`;
    return `top of ${(await context.store.readBytes(context.inputs.low!.digest)).toString()}`;
  });
  let version = 1;
  const low = bench.step('low');
  const top = bench.step('top', { low }, { source: sourceOf(() => version) });
  const engine = bench.engine();
  await engine.realise(top);
  const { digest } = (await engine.realise(low)).artifact;
  for (const damage of ['the cOntent of low', '', 'the content of low and more']) {
    writeFileSync(bench.blobFile(digest), damage);
    version++;
    const { artifact } = await bench.engine().realise(top);
    t.is(await bench.text(artifact), 'top of the content of low');
    t.true(bench.ran.includes('low'));
  }
  t.is(readFileSync(bench.blobFile(digest), 'utf8'), 'the content of low');
  t.is(bench.events.filter(({ type }) => type === 'step-healed').length, 3);
});

test('records say what went into a key, for people', async (t) => {
  const bench = new Bench(t, echo);
  const { key } = await bench.engine().realise(bench.step('top', { low: bench.step('low') }));
  const record = JSON.parse(
    readFileSync(path.join(bench.folder, 'steps', key.slice(0, 2), `${key.slice(2)}.json`), 'utf8'),
  );
  t.like(record, { format: 3, step: 'top', key, parts: { task: 'test', version: 1, options: { name: 'top' } } });
  t.regex(record.parts.inputs.low, /^blob [0-9a-f]{64}$/);
});

test('a record that cannot be read is a miss', async (t) => {
  const bench = new Bench(t, echo);
  const step = bench.step('one');
  const { key } = await bench.engine().realise(step);
  writeFileSync(path.join(bench.folder, 'steps', key.slice(0, 2), `${key.slice(2)}.json`), '{"format":1,');
  t.false((await bench.engine().realise(step)).cached);
});

test('steps of one key are run once, however many there are', async (t) => {
  const bench = new Bench(t, async (_, name) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return name;
  });
  const same = Array.from({ length: 500 }, (_, n) => ({ ...bench.step('same'), name: `step ${n}` }));
  const engine = bench.engine();
  const made = await Promise.all(same.map((step) => engine.realise(step)));
  t.deepEqual(bench.ran, ['same']);
  t.is(new Set(made.map(({ artifact }) => artifact.digest)).size, 1);
});

test('the first failure stops what runs, and nothing of it is kept', async (t) => {
  const bench = new Bench(t, async (context, name) => {
    if (name === 'bad') throw new Error('bad step');
    await new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason)));
    return 'never';
  });
  const engine = bench.engine();
  const error = await t.throwsAsync(
    engine.realise(bench.step('top', { slow: bench.step('slow'), bad: bench.step('bad') })),
  );
  await engine.settle();
  t.is(error?.message, 'bad step');
  t.deepEqual(
    bench.events.filter(({ type }) => type === 'step-failed').map((event) => 'step' in event && event.step),
    ['bad'],
  );
  t.throws(() => readdirSync(path.join(bench.folder, 'steps')), { code: 'ENOENT' });
});

test('pools bound what runs at once, and waiting holds no slot', async (t) => {
  let running = 0;
  let most = 0;
  const bench = new Bench(t, async (_, name) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    return name;
  });
  // A chain longer than the pool, beside many leaves: a slot held while waiting would never come free.
  let chain = bench.step('c0');
  for (let n = 1; n < 10; n++) chain = bench.step(`c${n}`, { before: chain });
  const leaves = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`l${n}`, bench.step(`l${n}`)]));
  await bench.engine().realise(bench.step('top', { ...leaves, chain }));
  t.is(most, 2);
  t.is(bench.ran.length, 31);
});

test('what most work waits for goes first', async (t) => {
  const bench = new Bench(t, async (_, name) => name);
  const one = { pool: 'disk' } as const;
  const task = (kind: string): Task => ({ ...bench.step(kind).task, kind, ...one });
  const step = (name: string, inputs: Record<string, Step> = {}) => bench.step(name, inputs, { task: task('one') });
  // Four beginnings that one slot is for: who leads to most goes first, of equals who was asked for first.
  const short = step('short');
  const first = step('first');
  const second = step('second');
  const long = step('z long', { second: step('z middle', { first: step('z first') }) });
  const top = step('top', { short, first, second, long });
  const steps = [short, first, second, ...stepsOf([long]), top];
  const took: Record<string, number> = { short: 10, first: 30, second: 30, 'z first': 5, 'z middle': 20, 'z long': 20 };
  const known = urgencies(steps, ({ name }) => took[name] ?? 0);
  t.deepEqual(Object.fromEntries(known), {
    short: 10,
    first: 30,
    second: 30,
    'z first': 45,
    'z middle': 40,
    'z long': 20,
    top: 0,
  });
  t.is(urgencies(steps, () => undefined).get('z first'), 4000, 'what was never timed counts the same each');
  const blocker = step('blocker');
  const engine = bench.engine({ urgencies: () => new Map([...known, ['blocker', 99]]) });
  await Promise.all([blocker, top].map((goal) => engine.realise(goal)));
  t.deepEqual(
    bench.ran.filter((name) => ['short', 'first', 'second', 'z first'].includes(name)),
    ['z first', 'first', 'second', 'short'],
  );
});

test('scratch directories are gone when the step is over, however it ended', async (t) => {
  const bench = new Bench(t, async (context, name) => {
    writeFileSync(path.join(await context.scratch(), 'file'), name);
    if (name === 'bad') throw new Error('no');
    return name;
  });
  await bench.engine().realise(bench.step('good'));
  await t.throwsAsync(bench.engine().realise(bench.step('bad')));
  t.deepEqual(readdirSync(path.join(bench.folder, 'scratch')), []);
});

test('where two runs of a step differ first', async (t) => {
  const bench = new Bench(t, echo);
  const step = bench.step('one');
  const blob = async (text: string): Promise<Made> => {
    const artifact = await bench.store.putBytes(Buffer.from(text));
    return { artifact, store: bench.store, file: undefined, inputs: {} };
  };
  const look = async (a: string, b: string) => mismatch(step, await blob(a), await blob(b));
  t.is(await look('same', 'same'), undefined);
  t.deepEqual(await look('abcd', 'abXd'), { where: undefined, byte: 2 });
  t.deepEqual(await look('abc', 'abcd'), { where: undefined, byte: 3 });
  t.deepEqual(await look('', 'x'), { where: undefined, byte: 0 });

  // Of files outside the store the task says what a byte belongs to; their pieces are of 1 MiB.
  const file = (name: string, bytes: Buffer): Made => {
    writeFileSync(path.join(bench.folder, name), bytes);
    const artifact = { kind: 'publication', digest: 'the key', size: bytes.length, file: name } as const;
    return { artifact, store: bench.store, file: path.join(bench.folder, name), inputs: {} };
  };
  const large = Buffer.alloc(3_000_000, 'x');
  const other = Buffer.from(large);
  other[2_500_000] = 0;
  const image: Step = { ...step, task: { ...step.task, locate: async (_, position) => `the file at ${position}` } };
  t.is(await mismatch(image, file('a', large), file('b', large)), undefined);
  t.deepEqual(await mismatch(image, file('a', large), file('b', other)), {
    where: 'the file at 2500000',
    byte: 2_500_000,
  });
});

test('a source that learns is known by what it has become; any other counts as what it was when its step began', async (t) => {
  let found: Json = {};
  let times = 0;
  const bench = new Bench(t, async () => {
    found = { url: `pinned ${++times}` };
    return 'made';
  });
  const build = async (source: Source) => {
    await bench.engine().realise(bench.step('script', {}, { source }));
    return [...bench.ran];
  };
  t.deepEqual(await build({ ...sourceOf(() => found), learns: true }), ['script']);
  t.deepEqual(await build({ ...sourceOf(() => found), learns: true }), []);
  found = { url: 'moved' };
  t.deepEqual(await build({ ...sourceOf(() => found), learns: true }), ['script']);
  // A folder that somebody changed while it was read: what came of it is not what it is now.
  found = 'before';
  t.deepEqual(await build(sourceOf(() => found)), ['script']);
  t.deepEqual(await build(sourceOf(() => found)), ['script']);
});
