import { Graph as Layout, layout } from '@dagrejs/dagre';
import { useMemo } from 'preact/hooks';
import type { PlannedStep } from '../../commands/forecast.ts';
import type { Progress } from './builds.tsx';

const HEIGHT = 26;
const LETTER = 6.4;
const LONGEST = 34;

/** The steps of a build, what comes first on the left; coloured by what became of each, or else by what a build would do. */
export function Graph({
  steps,
  progress,
  chosen,
  choose,
}: {
  steps: readonly PlannedStep[];
  progress: ReadonlyMap<string, Progress>;
  chosen: string | undefined;
  choose: (step: string) => void;
}) {
  const drawn = useMemo(() => draw(steps), [steps]);
  return (
    <section class="graph" aria-label="Graph">
      <svg viewBox={`0 0 ${drawn.width} ${drawn.height}`} style={{ minWidth: `${drawn.width * 0.62}px` }}>
        <title>The steps of this build</title>
        {drawn.edges.map((points) => (
          <polyline key={points} points={points} />
        ))}
        {drawn.nodes.map(({ step, x, y, width }) => {
          const state = progress.get(step.step)?.state ?? step.state;
          const pick = () => choose(step.step);
          return (
            // biome-ignore lint/a11y/useSemanticElements: SVG has no buttons
            <g
              key={step.step}
              class={`node ${state}${step.step === chosen ? ' chosen' : ''}`}
              transform={`translate(${x - width / 2},${y - HEIGHT / 2})`}
              role="button"
              tabIndex={0}
              aria-label={`${step.step}: ${state}`}
              onClick={pick}
              onKeyDown={(event) => (event.key === 'Enter' || event.key === ' ') && pick()}
            >
              <title>{step.step}</title>
              <rect width={width} height={HEIGHT} rx="5" />
              <text x={width / 2} y={HEIGHT / 2 + 4}>
                {shortened(step.step)}
              </text>
            </g>
          );
        })}
      </svg>
    </section>
  );
}

function shortened(name: string): string {
  const plain = name.replace(/https?:\/\/\S*\//, '…/').replace(/file:\S*\//, '…/');
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST - 1)}…` : plain;
}

function draw(steps: readonly PlannedStep[]) {
  const graph = new Layout().setGraph({
    rankdir: 'LR',
    ranker: 'tight-tree',
    nodesep: 10,
    ranksep: 36,
    marginx: 6,
    marginy: 6,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { step } of steps) graph.setNode(step, { width: shortened(step).length * LETTER + 18, height: HEIGHT });
  for (const { step, inputs } of steps) for (const input of inputs) graph.setEdge(input, step);
  layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    width,
    height,
    nodes: steps.map((step) => ({ step, ...(graph.node(step.step) as { x: number; y: number; width: number }) })),
    edges: graph
      .edges()
      .map((edge) => (graph.edge(edge).points as { x: number; y: number }[]).map(({ x, y }) => `${x},${y}`).join(' ')),
  };
}
