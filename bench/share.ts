import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { compressed, manyMembers, tarOf } from '../tests/rig/archives.ts';
import { Nginx } from '../tests/rig/nginx.ts';
import { Registry } from '../tests/rig/registry.ts';
import { Bench, median, type Row, RUNS, tell, times } from './rig.ts';

const SCRIPTS = 5;
const ENTRIES = 2000;

/** What other machines spare: restoring from a remote cache beside building again, and images by way of a registry beside skopeo. */
export async function measure(): Promise<void> {
  const ends: (() => unknown)[] = [];
  const host = { teardown: (end: () => unknown) => void ends.push(end) } as Parameters<typeof Nginx.start>[0];
  try {
    await remoteCache(await Nginx.start(host));
    await registry(await Registry.start(host));
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function remoteCache(nginx: Nginx): Promise<void> {
  const bench = new Bench();
  try {
    bench.writeProject();
    bench.write(
      'smol.config.yaml',
      `release: bench\ncache: {remote: {url: ${nginx.url}, trust: anyone, mode: readwrite}}\n`,
    );
    const forget = () => {
      for (const name of ['cache', '.smol', 'images']) rmSync(bench.path(name), { recursive: true, force: true });
    };
    const rows: Row[] = [];
    let trips = '';
    const compare = (what: string, name: string) => {
      const build = (use: string) => bench.smol('build', name, '--arch', 'amd64', '--cache', `local:rw,remote:${use}`);
      const filled = median(
        () => build('rw'),
        () => {
          forget();
          rmSync(path.join(nginx.folder, 'cas'), { recursive: true, force: true });
          rmSync(path.join(nginx.folder, 'ac'), { recursive: true, force: true });
        },
      );
      build('rw');
      const again = median(() => build(''), forget);
      const before = nginx.requests().length;
      const restored = median(() => build('r'), forget);
      const lines = nginx.requests().slice(before);
      const steps = new Set(lines.filter((line) => line.startsWith('GET /ac/')));
      trips += `${what}: ${(lines.length / RUNS).toFixed(0)} requests for ${steps.size} steps and what they made\n`;
      rows.push(
        { way: `${what}: built again`, measured: again, told: '1.00x' },
        { way: `${what}: restored`, measured: restored, told: times(restored, again) },
        { way: `${what}: built, and given to the cache`, measured: filled, told: times(filled, again) },
      );
    };
    writeFileSync(bench.path('base.tgz'), compressed(await tarOf(manyMembers(ENTRIES)), 'tgz'));
    bench.writeService('scripted', '64M');
    for (let n = 0; n < SCRIPTS; n++) bench.write(`services/scripted/postinst/${n}.sh`, `echo ${n} >> usr/order\n`);
    compare(`${ENTRIES} entries, ${SCRIPTS} scripts`, 'scripted');
    const set = bench.writeBaseSet();
    bench.writeService('base', '512M');
    compare(`${set}, no script`, 'base');
    tell('An empty cache, and nginx on this host as the remote one', rows);
    console.log(`\n${trips}`);
  } finally {
    bench.remove();
  }
}

async function registry({ host }: Registry): Promise<void> {
  const bench = new Bench();
  try {
    bench.writeProject();
    bench.writeBaseSet();
    bench.writeService('bench', '512M');
    bench.smol('build', 'bench', '--arch', 'amd64');
    const image = bench.path('images/bench-amd64.img');
    let round = 0;
    // A repository of its own each time: a registry does not take twice what it has.
    const name = () => `${host}/bench${round++}/image`;
    const push = median(() => bench.smol('push', 'bench:1', name(), '--arch', 'amd64'));
    const to = `${host}/bench/image`;
    bench.smol('push', 'bench:1', to, '--arch', 'amd64');
    const pushAgain = median(() => bench.smol('push', 'bench:1', to, '--arch', 'amd64'));

    const layout = bench.path('layout');
    const skopeo = (...args: string[]) => bench.time('skopeo', ['copy', '--quiet', ...args]);
    const bytes = readFileSync(image);
    const raw = median(
      () => skopeo('--dest-tls-verify=false', `oci:${layout}`, `docker://${name()}:1`),
      // Another byte each time, or skopeo would know a repository that has it.
      () => writeLayout(layout, Buffer.concat([bytes, Buffer.from([round])]), 'application/x-raw-disk-image'),
    );
    skopeo('--dest-tls-verify=false', `oci:${layout}`, `docker://${to}:raw`);
    const pack = () => {
      const packed = bench.time('sh', ['-c', `(cat ${image}; echo ${round}) | gzip -c > disk.gz`]);
      writeLayout(layout, readFileSync(bench.path('disk.gz')), 'application/x-raw-disk-image+gzip');
      return { ms: packed.ms + skopeo('--dest-tls-verify=false', `oci:${layout}`, `docker://${name()}:1`).ms };
    };
    const gzipped = median(pack);
    skopeo('--dest-tls-verify=false', `oci:${layout}`, `docker://${to}:gz`);
    tell('An image of 512 MB with 226 MB in it to a registry on this host', [
      { way: 'smol push', measured: push, told: times(push, raw) },
      { way: 'smol push, there already', measured: pushAgain, told: times(pushAgain, raw) },
      { way: 'skopeo copy, as it is (512 MB sent)', measured: raw, told: '1.00x' },
      { way: 'gzip, skopeo copy', measured: gzipped, told: times(gzipped, raw) },
    ]);

    const forget = () => {
      for (const each of ['cache/pulled', 'got']) rmSync(bench.path(each), { recursive: true, force: true });
    };
    const pull = (tag: string) => bench.smol('pull', `${to}:${tag}`, '--arch', 'amd64');
    const whole = median(() => pull('1'), forget);
    bench.write('services/bench/etc/rc', '#!/bin/sh\n# one line more\n');
    bench.smol('push', 'bench:2', to, '--arch', 'amd64');
    const delta = median(
      () => pull('2'),
      () => {
        forget();
        pull('1');
      },
    );
    const get = (tag: string) => skopeo('--src-tls-verify=false', `docker://${to}:${tag}`, `oci:${bench.path('got')}`);
    const rawPull = median(() => get('raw'), forget);
    const gzPull = median(() => {
      const got = get('gz');
      const unpack = bench.time('sh', [
        '-c',
        `gzip -dc got/blobs/sha256/$(ls -S got/blobs/sha256 | head -1) > got/disk`,
      ]);
      return { ms: got.ms + unpack.ms };
    }, forget);
    tell('And back', [
      { way: 'smol pull', measured: whole, told: times(whole, rawPull) },
      { way: 'smol pull, with the version before as seed', measured: delta, told: times(delta, rawPull) },
      { way: 'skopeo copy, as it is (512 MB received)', measured: rawPull, told: '1.00x' },
      { way: 'skopeo copy, gzip -d', measured: gzPull, told: times(gzPull, rawPull) },
    ]);
  } finally {
    bench.remove();
  }
}

/** An OCI layout with one layer, as oras would push it. */
function writeLayout(layout: string, layer: Buffer, mediaType: string): void {
  rmSync(layout, { recursive: true, force: true });
  const blobs = path.join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer) => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(path.join(blobs, digest), bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...put(Buffer.from('{}')) };
  const layers = [{ mediaType, ...put(layer) }];
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers })));
  writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion": "1.0.0"}');
  const index = { schemaVersion: 2, manifests: [{ mediaType: manifestType, ...manifest }] };
  writeFileSync(path.join(layout, 'index.json'), JSON.stringify(index));
}
