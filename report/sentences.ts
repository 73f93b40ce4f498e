import path from 'node:path';
import type { Clocks, Event, RemoteSummary } from '../model/event.ts';
import { bytes, count, duration, either } from '../model/words.ts';
import { renderProblem } from './diagnostic.ts';
import type { Style } from './style.ts';

/** What each event reads like when it is over, or undefined for those that only matter while something is drawn. */
export function sentence(event: Event, style: Style, cwd: string): string | undefined {
  switch (event.type) {
    case 'step-finished':
      return event.cached
        ? undefined
        : `${style.green('✓')} ${event.step} ${style.dim(`${bytes(event.size)}, ${duration(event.ms)}`)}`;
    case 'step-failed':
      return `${style.red('✗')} ${event.step} ${style.dim(duration(event.ms))}`;
    case 'step-log':
      return `${style.dim(`  ${event.step}:`)} ${event.line}`;
    case 'step-healed':
      return `${style.yellow('!')} the cache was damaged (${event.blob.slice(0, 12)}…): ${event.step} waits until that is made again`;
    case 'pinned':
      return `${style.dim('pinned')} ${event.source} ${style.dim(`sha256 ${event.sha256.slice(0, 12)}…, ${bytes(event.size)}`)}`;
    case 'image': {
      const note = event.cached ? 'up to date' : `key ${event.digest.slice(0, 12)}…`;
      return `${style.bold(event.target)}  ${path.relative(cwd, event.file)}  ${style.dim(`${bytes(event.size)}, ${note}`)}`;
    }
    case 'build-finished': {
      const { ok, ran, cached, ms, remote } = event;
      const lines = ok ? [`${count(ran, 'step')} run, ${cached} cached, ${duration(ms)}`] : [];
      if (remote !== undefined) lines.push(remoteText(remote));
      return lines.length === 0 ? undefined : style.dim(lines.join('\n'));
    }
    case 'verified':
      return `${style.green('✓')} ${count(event.steps, 'step')} made the same again, in another directory and at another date ${style.dim(duration(event.ms))}`;
    case 'watching':
      return style.dim('watching what it is made of; ^C ends that');
    case 'rebuilt': {
      const what = event.ran === 0 ? style.dim('nothing to do') : `${either(event.targets, 'and')} built`;
      const mark = event.ran === 0 ? style.dim('=') : style.green('✓');
      return `${mark} ${what} ${style.dim(`in ${duration(event.ms)}, after ${some(event.changed)}`)}`;
    }
    case 'installing':
      return `installing ${event.packages.join(', ')} with apt-get`;
    case 'notice':
      return `${style.yellow('note:')} ${event.text}`;
    case 'problem':
      return renderProblem(event.problem, style, cwd);
    case 'tested': {
      if (event.cached)
        return `${style.green('=')} ${event.target} ${style.dim('has passed as it is: not booted again')}`;
      const lines = event.checks.map(({ name, ms, failure }) =>
        failure === undefined
          ? `  ${style.green('✓')} ${name} ${style.dim(duration(ms))}`
          : `  ${style.red('✗')} ${name}: ${failure.replaceAll('\n', '\n      ')}`,
      );
      return [`${event.ok ? style.green('✓') : style.red('✗')} ${style.bold(event.target)}`, ...lines].join('\n');
    }
    case 'booted':
      return `${style.dim(`${event.round}/${event.of}`)} ${event.vm} ${style.dim(clocks(event.clocks))}`;
    case 'vm-starting':
      return style.dim(`starting ${event.vm} in QEMU (${event.accelerator}); ^C stops it`);
    case 'vm-ready':
      return `${style.green('ready')} ${style.bold([event.vm, ...event.urls].join('  '))}  ${style.dim(clocks(event.clocks))}`;
    case 'vm-stopping':
      return event.by === 'quit'
        ? undefined
        : style.dim(`pressing the power button of ${event.vm}; ^C again does not wait for it`);
    case 'vm-stopped':
      return `${event.vm} ${event.how === 'powered off' ? 'powered off' : 'was stopped'}`;
    case 'build-started':
    case 'step-started':
    case 'step-progress':
    case 'vm-console':
      return undefined;
    default:
      return event satisfies never;
  }
}

/** What a remote cache was good for, without what it was not. */
function remoteText({ hits, misses, slower, received, sent, trouble }: RemoteSummary): string {
  const asked = hits + misses;
  const parts = [
    asked === 0 ? 'not asked' : `${hits} of ${count(asked, 'step')} found (${Math.round((100 * hits) / asked)} %)`,
    ...(slower > 0 ? [`${slower} sooner made than fetched`] : []),
    ...(received > 0 ? [`${bytes(received)} received`] : []),
    ...(sent > 0 ? [`${bytes(sent)} sent`] : []),
    ...(trouble === undefined ? [] : [trouble]),
  ];
  return `remote cache: ${parts.join(', ')}`;
}

/** The first few of many names. */
function some(names: readonly string[]): string {
  const most = 3;
  return names.length <= most
    ? either(names, 'and')
    : `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`;
}

function clocks({ console, userland, ready }: Clocks): string {
  const part = (name: string, ms: number | undefined) => (ms === undefined ? [] : [`${name} ${duration(ms)}`]);
  return [...part('console', console), ...part('user land', userland), ...part('answer', ready)].join(', ');
}
