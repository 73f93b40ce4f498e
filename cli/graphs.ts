import type { Plan, PlannedStep } from '../commands/forecast.ts';
import { bytes, count, duration } from '../model/words.ts';

/** Graphs of steps, for people and for programs that draw. */

const MARKS = { cached: '=', run: '+', maybe: '?', failed: '!' } as const;
export const COLOURS = { cached: '#d7f5dd', run: '#ffe3b3', maybe: '#f4f4f4', failed: '#ffd0cc' } as const;

/** A tree: each goal with what it is made of below it. What was shown once is not shown again below its name. */
export function textTree(steps: readonly PlannedStep[]): string {
  const byName = new Map(steps.map((step) => [step.step, step]));
  const used = new Set(steps.flatMap(({ inputs }) => inputs));
  const shown = new Set<string>();
  const lines: string[] = [];
  const draw = (step: PlannedStep, lead: string, branch: string) => {
    const again = shown.has(step.step) && step.inputs.length > 0;
    lines.push(`${lead}${branch}${MARKS[step.state]} ${step.step}${again ? ' (above)' : ''}`);
    if (again) return;
    shown.add(step.step);
    const below = lead + ({ '': '', '├ ': '│ ', '└ ': '  ' }[branch] ?? '');
    step.inputs.forEach((name, n) => {
      draw(byName.get(name)!, below, n === step.inputs.length - 1 ? '└ ' : '├ ');
    });
  };
  for (const step of steps.filter(({ step: name }) => !used.has(name))) draw(step, '', '');
  return [...lines, '', '= cached   + to run   ? depends on what a step before it makes   ! failed the last time'].join(
    '\n',
  );
}

/** In the language of Graphviz: dot(1). */
export function dot(steps: readonly PlannedStep[]): string {
  const nodes = steps.map(({ step, state }) => `  ${JSON.stringify(step)} [fillcolor="${COLOURS[state]}"];`);
  const edges = steps.flatMap(({ step, inputs }) =>
    inputs.map((input) => `  ${JSON.stringify(input)} -> ${JSON.stringify(step)};`),
  );
  return ['digraph smol {', '  rankdir=LR;', '  node [shape=box, style=filled];', ...nodes, ...edges, '}'].join('\n');
}

/** As Markdown hosts draw it: mermaid's flowchart. */
export function mermaid(steps: readonly PlannedStep[]): string {
  const ids = new Map(steps.map(({ step }, n) => [step, `s${n}`]));
  const nodes = steps.map(({ step, state }) => `  ${ids.get(step)}["${step.replaceAll('"', "'")}"]:::${state}`);
  const edges = steps.flatMap(({ step, inputs }) => inputs.map((input) => `  ${ids.get(input)} --> ${ids.get(step)}`));
  const classes = Object.entries(COLOURS).map(([state, colour]) => `  classDef ${state} fill:${colour}`);
  return ['flowchart LR', ...nodes, ...edges, ...classes].join('\n');
}

/** What a build would do, a line a step that is not cached. */
export function dryRun({ steps, predicted }: Plan): string {
  const todo = steps.filter(({ state }) => state !== 'cached');
  const cached = steps.length - todo.length;
  if (todo.length === 0) return `nothing to do: ${count(cached, 'step')} cached`;
  const lines = todo.map(({ step, state, last, from }) => {
    const source = from === undefined || step.endsWith(from) ? [] : [`from ${from}`];
    const time = last === undefined ? [] : [`last time ${duration(last.ms)}, ${bytes(last.size)}`];
    const notes = [...source, ...time].join('; ');
    return `${state.padEnd(6)} ${step}${notes === '' ? '' : `  (${notes})`}`;
  });
  return [...lines, `${count(todo.length, 'step')} to do, ${cached} cached; ${prediction(predicted)}`].join('\n');
}

function prediction({ ms, untimed, download, unpinned }: Plan['predicted']): string {
  const time =
    untimed === 0 ? `about ${duration(ms)}` : `more than ${duration(ms)}: ${count(untimed, 'step')} never timed`;
  const size =
    unpinned === 0 ? bytes(download) : `more than ${bytes(download)}: ${count(unpinned, 'source')} not pinned yet`;
  return download === 0 && unpinned === 0 ? `${time}; nothing to fetch` : `${time}; to fetch ${size}`;
}
