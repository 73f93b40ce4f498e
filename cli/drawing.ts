import { graphlib, layout } from '@dagrejs/dagre';
import type { PlannedStep } from '../commands/forecast.ts';
import { bytes, duration } from '../model/words.ts';
import { COLOURS } from './graphs.ts';

/** Pixels; the width of a character is that of a monospaced font of 12 pixels. */
const HEIGHT = 26;
const CHARACTER = 7.3;
const PADDING = 16;
/** Longer names are shortened in the middle: they begin with the task and end with the file. */
const LONGEST = 48;

/** A drawing of a graph of steps: SVG, laid out by dagre. What a step is called in full shows where a pointer rests. */
export function svg(steps: readonly PlannedStep[]): string {
  const graph = new graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 12, ranksep: 40, marginx: 16, marginy: 16, ranker: 'tight-tree' });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { step } of steps) {
    graph.setNode(step, { width: shortened(step).length * CHARACTER + PADDING, height: HEIGHT });
  }
  for (const { step, inputs } of steps) for (const input of inputs) graph.setEdge(input, step);
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const edges = graph.edges().map((edge: { v: string; w: string }) => {
    const { points } = graph.edge(edge) as { points: { x: number; y: number }[] };
    return `<polyline points="${points.map(({ x, y }) => `${pixel(x)},${pixel(y)}`).join(' ')}"/>`;
  });
  const nodes = steps.map((each) => box(each, graph.node(each.step) as { x: number; y: number; width: number }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="the steps of a build" viewBox="0 0 ${pixel(width)} ${pixel(height)}" width="${pixel(width)}" height="${pixel(height)}">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    '<g fill="none" stroke="#777">',
    ...edges,
    '</g>',
    '<g font-family="monospace" font-size="12" text-anchor="middle" stroke-width="1">',
    ...nodes,
    '</g>',
    '</svg>',
  ].join('\n');
}

function box({ step, state, last }: PlannedStep, { x, y, width }: { x: number; y: number; width: number }): string {
  const note = last === undefined ? '' : `, last time ${duration(last.ms)}, ${bytes(last.size)}`;
  return [
    `<g><title>${escaped(`${step}: ${state}${note}`)}</title>`,
    `<rect x="${pixel(x - width / 2)}" y="${pixel(y - HEIGHT / 2)}" width="${pixel(width)}" height="${HEIGHT}" rx="4" fill="${COLOURS[state]}" stroke="#555"/>`,
    `<text x="${pixel(x)}" y="${pixel(y + 4)}" fill="#111">${escaped(shortened(step))}</text></g>`,
  ].join('');
}

function shortened(name: string): string {
  if (name.length <= LONGEST) return name;
  const half = (LONGEST - 1) / 2;
  return `${name.slice(0, Math.floor(half))}…${name.slice(-Math.ceil(half))}`;
}

function pixel(n: number): number {
  return Math.round(n * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
