import os from 'node:os';
import { RUNS } from './rig.ts';

/** `npm run bench` measures all; `npm run bench image` one part. Read the ratios: machines differ, and are noisy. */

const PARTS: Readonly<Record<string, () => Promise<{ measure(): Promise<void> }>>> = {
  start: () => import('./start.ts'),
  engine: () => import('./engine.ts'),
  image: () => import('./image.ts'),
  launch: () => import('./launch.ts'),
  many: () => import('./many.ts'),
  ready: () => import('./ready.ts'),
  script: () => import('./script.ts'),
  share: () => import('./share.ts'),
  ui: () => import('./ui.ts'),
};

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) throw new Error(`there are ${Object.keys(PARTS).join(', ')}; not ${unknown.join(', ')}`);
console.log(`medians of ${RUNS}; Node ${process.version}, ${os.cpus().length} processors`);
for (const [name, load] of Object.entries(PARTS)) {
  if (chosen.length === 0 || chosen.includes(name)) await (await load()).measure();
}
