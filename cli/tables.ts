import path from 'node:path';
import type { Collection } from '../cache/collect.ts';
import type { CacheReport } from '../commands/cache.ts';
import type { Finding } from '../commands/doctor.ts';
import type { ListedImage } from '../commands/imagelist.ts';
import type { ListedService } from '../commands/list.ts';
import type { VmState } from '../commands/machines.ts';
import type { RemoteImage } from '../commands/remoteimages.ts';
import type { TraceReport } from '../commands/trace.ts';
import type { Transfer } from '../commands/transfer.ts';
import type { Move } from '../commands/update.ts';
import { bytes, count, duration } from '../model/words.ts';

/** Results as text in columns. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, n) => Math.max(...rows.map((row) => row[n]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, n) => cell.padEnd(widths[n]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function vmTable(vms: readonly VmState[]): string {
  if (vms.length === 0) return 'no VM of this project is running';
  const rows = vms.map(({ name, target, state, pid, started, cpu, rss, memory, accelerator, urls }) => {
    if (state === 'stopped') return [name, target, state, '', '', '', '', '', ''];
    const up = duration(Date.now() - started);
    const used = rss === undefined ? `${memory} MiB` : `${bytes(rss)} of ${memory} MiB`;
    return [
      name,
      target,
      state,
      String(pid),
      up,
      cpu === undefined ? '' : `${cpu}%`,
      used,
      accelerator,
      urls.join(' '),
    ];
  });
  return columns([['NAME', 'TARGET', 'STATE', 'PID', 'UP', 'CPU', 'MEMORY', 'ACCEL', 'ADDRESS'], ...rows]);
}

export function serviceTable(services: readonly ListedService[]): string {
  return columns([
    ['SERVICE', 'FROM', 'DESCRIPTION'],
    ...services.map(({ name, origin, description }) => [name, origin, description]),
  ]);
}

export function imageTable(images: readonly ListedImage[], folder: string): string {
  if (images.length === 0) return 'no image was built here yet: smol build <service>';
  const rows = images.map(({ name, file, size, allocated, written }) => {
    const when = new Date(written).toISOString().slice(0, 16).replace('T', ' ');
    return [name, bytes(size), bytes(allocated), when, path.relative(folder, file)];
  });
  return columns([['IMAGE', 'SIZE', 'ON DISK', 'WRITTEN (UTC)', 'FILE'], ...rows]);
}

export function remoteTable(images: readonly RemoteImage[]): string {
  if (images.length === 0) return 'it has no images';
  const rows = images.map(({ reference, size, platforms, digest }) => {
    return [reference, size === undefined ? '' : bytes(size), platforms.join(' '), digest];
  });
  return columns([['IMAGE', 'SIZE', 'FOR', 'DIGEST'], ...rows]);
}

export function moveList(moves: readonly Move[]): string {
  if (moves.length === 0) return 'nothing is pinned yet: the first build does it';
  return moves
    .map(({ source, before, after }) =>
      before.sha256 === after.sha256
        ? `${source}: unchanged`
        : `${source}: ${before.sha256.slice(0, 12)}… -> ${after.sha256.slice(0, 12)}…${after.package ? ` (${after.package})` : ''}`,
    )
    .join('\n');
}

export function cacheText({ folder, blobs, bytes: size, kept, limit, projects, hits }: CacheReport): string {
  return [
    `${folder}: ${bytes(size)} in ${count(blobs, 'blob')}, of at most ${bytes(limit)}`,
    `${bytes(kept)} of it stay: images in place were made of them, or they were used within the hour`,
    ...projects.map((project) => `${bytes(project.bytes).padStart(10)}  for ${project.folder}`),
    `found done in it so far: ${count(hits.steps, 'step')}, which had taken ${duration(hits.ms)}`,
  ].join('\n');
}

export function transferText({ steps, blobs, size }: Transfer): string {
  return `${count(steps, 'record')} and ${count(blobs, 'blob')}, ${bytes(size)}`;
}

export function collectionText({ freed, evicted, bytes: size }: Collection): string {
  const did = evicted === 0 ? 'nothing had to go' : `${count(evicted, 'blob')} evicted, ${bytes(freed)} freed`;
  return `${did}; the cache has ${bytes(size)}`;
}

export function traceText({ file, ms, critical }: TraceReport): string {
  const rows = critical.map(({ name, dur, args }) => [
    duration(dur / 1000),
    args.cached ? 'cached' : bytes(args.bytes),
    name,
  ]);
  return [
    `the last build took ${duration(ms)}; its end waited for`,
    columns(rows),
    `all of it: open ${file} in chrome://tracing or ui.perfetto.dev`,
  ].join('\n');
}

const MARKS = { ok: '✓', limited: '!', lacks: '✗' } as const;

export function findingList(findings: readonly Finding[]): string {
  return findings
    .map(
      ({ what, state, detail, fix }) =>
        `${MARKS[state]} ${what}: ${detail}${fix === undefined ? '' : `\n    fix: ${fix}`}`,
    )
    .join('\n');
}
