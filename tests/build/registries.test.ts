import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { Registry } from '../rig/registry.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

async function project(t: ExecutionContext, more = ''): Promise<Sandbox> {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', `${await mirror.serveNetbsd()}${more}`);
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  return box;
}

/** Bytes that do not compress, the same each time. */
function noise(size: number): Buffer {
  const parts: Buffer[] = [];
  for (let n = 0; n < size / 32; n++) parts.push(Buffer.from(sha256(String(n)), 'hex'));
  return Buffer.concat(parts);
}

/** Somebody else, somewhere else: no project. */
function elsewhere(t: ExecutionContext): Sandbox {
  return new Sandbox(t, 'elsewhere');
}

function skopeo(...args: string[]): string {
  return execFileSync('skopeo', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function inspect(reference: string): {
  layers: Descriptor[];
  manifests?: (Descriptor & { platform: object; artifactType: string })[];
} {
  return JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${reference}`));
}

test.serial('what is pushed can be pulled elsewhere, byte for byte, and by other tools', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t, `registry: ${registry.host}/team\n`);
  const pushed = await box.smol(['push', 'rescue:1.2', '--arch', 'i386', '--json']);
  exits(t, pushed, 0);
  const name = `${registry.host}/team/rescue:1.2`;
  const image = readFileSync(box.path('images/rescue-i386.img'));

  const other = elsewhere(t);
  const pulled = await other.smol(['pull', name, '-o', 'out']);
  exits(t, pulled, 0);
  t.deepEqual(readdirSync(other.path('out')).sort(), ['rescue-i386.img', 'rescue-i386.kernel']);
  t.is(sha256(readFileSync(other.path('out/rescue-i386.img'))), sha256(image));
  t.true(statSync(other.path('out/rescue-i386.img')).blocks * 512 < image.length, 'it has holes');

  // Anybody's gunzip makes the same disk of the layer.
  const { layers } = inspect(name);
  const disk = layers.find(({ mediaType }) => mediaType.includes('disk.v1+gzip'))!;
  const layout = other.path('layout');
  skopeo('copy', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:1.2`);
  const blob = readFileSync(path.join(layout, 'blobs/sha256', disk.digest.replace('sha256:', '')));
  t.is(sha256(gunzipSync(blob)), sha256(image));
  const stat = JSON.parse(
    execFileSync('umoci', ['ls', '--layout', layout], { encoding: 'utf8' }).replace(/^(.*)\n$/, '["$1"]'),
  );
  t.deepEqual(stat, ['1.2']);

  // Again nothing is sent, nor received.
  t.regex((await box.smol(['push', 'rescue:1.2', '--arch', 'i386'])).stdout, /, 0 bytes sent\n$/);
  t.regex((await other.smol(['pull', name])).stdout, /, 0 bytes received\n$/);
  const images = JSON.parse(
    (await other.smol(['images', '--remote', `${registry.host}/team/rescue`, '--json'])).stdout,
  );
  t.deepEqual(
    images.map(({ reference, platforms }: Record<string, unknown>) => [reference, platforms]),
    [[name, ['netbsd/i386']]],
  );
  t.regex((await box.smol(['images', '--remote', 'rescue'])).stdout, /^IMAGE .*\n\S+:1\.2 .* netbsd\/i386 +sha256:/);
  t.regex((await box.smol(['images'])).stdout, /^IMAGE .*\nrescue-i386 /);
});

test.serial('how it was made and what it is made of are attached, and found by the tag of its digest', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t);
  const target = `${registry.host}/team/rescue`;
  const pushed = await box.smol(['push', 'rescue', target, '--arch', 'i386', '--json']);
  exits(t, pushed, 0);
  const { digest } = JSON.parse(pushed.stdout.trim().split('\n').at(-1)!) as { digest: string };
  const { manifests = [] } = inspect(`${target}:${digest.replace(':', '-')}`);
  t.deepEqual(
    manifests.map(({ artifactType }) => artifactType),
    ['application/vnd.in-toto+json', 'application/spdx+json'],
  );
  const documents = manifests.map((each) => {
    const { layers } = inspect(`${target}@${each.digest}`);
    const at = layers[0]!.digest.replace('sha256:', '');
    const file = path.join(registry.folder, 'docker/registry/v2/blobs/sha256', at.slice(0, 2), at, 'data');
    return JSON.parse(readFileSync(file, 'utf8'));
  });
  const [statement, bill] = documents;
  t.is(statement._type, 'https://in-toto.io/Statement/v1');
  t.is(statement.predicateType, 'https://slsa.dev/provenance/v1');
  t.deepEqual(statement.subject, [{ name: 'rescue-i386', digest: { sha256: digest.replace('sha256:', '') } }]);
  const { buildDefinition, runDetails } = statement.predicate;
  t.deepEqual(buildDefinition.externalParameters, { service: 'rescue', arch: 'i386' });
  const lock = box.read('smol.lock.yaml');
  const urls = buildDefinition.resolvedDependencies.filter(({ uri }: { uri: string }) => uri.startsWith('https:'));
  t.is(urls.length, 3);
  for (const { uri, digest } of urls) t.true(lock.includes(uri) && lock.includes(digest.sha256), uri);
  t.true(runDetails.byproducts.some(({ name }: { name: string }) => name === 'image rescue-i386'));
  t.false(JSON.stringify(statement).includes(box.folder), JSON.stringify(statement, undefined, 1));

  t.is(bill.spdxVersion, 'SPDX-2.3');
  t.is(bill.packages.length, 4);
  t.is(bill.relationships.length, 4);
  const ids = new Set([bill.SPDXID, ...bill.packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID)]);
  for (const each of bill.relationships) t.true(ids.has(each.spdxElementId) && ids.has(each.relatedSpdxElement));
  t.regex(bill.creationInfo.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

test.serial('of the next version only the chunks that changed are fetched, and every one is checked', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t, `registry: ${registry.host}/team\n`);
  box.write('services/rescue/root/usr/share/noise', noise(6 * 1024 * 1024));
  await box.smol(['push', 'rescue:1', '--arch', 'i386']);
  const other = elsewhere(t);
  const name = `${registry.host}/team/rescue`;
  const received = async (tag: string) => {
    const result = await other.smol(['pull', `${name}:${tag}`, '--json']);
    exits(t, result, 0);
    return JSON.parse(result.stdout.trim().split('\n').at(-1)!) as { received: number; disk: string };
  };
  const whole = await received('1');
  t.true(whole.received > 6 * 1024 * 1024);
  box.write('services/rescue/etc/motd', 'one line more\n');
  await box.smol(['push', 'rescue:2', '--arch', 'i386']);
  const before = registry.requests().length;
  const delta = await received('2');
  t.true(delta.received < whole.received / 3, `${delta.received} of ${whole.received}`);
  t.true(
    registry
      .requests()
      .slice(before)
      .some((line) => line.endsWith(' 206')),
  );
  t.is(sha256(readFileSync(delta.disk)), sha256(readFileSync(box.path('images/rescue-i386.img'))));

  // A seed that was changed is no seed, and an image that was changed is pulled again.
  execFileSync('chmod', ['u+w', delta.disk]);
  writeFileSync(delta.disk, 'spoilt');
  const again = await received('2');
  t.is(sha256(readFileSync(again.disk)), sha256(readFileSync(box.path('images/rescue-i386.img'))));
});

test.serial('an image for several architectures is one name', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t, `registry: ${registry.host}/team\n`);
  const pushed = await box.smol(['push', 'rescue', '--arch', 'all']);
  exits(t, pushed, 0);
  const name = `${registry.host}/team/rescue:latest`;
  const { manifests = [] } = inspect(name);
  t.deepEqual(
    manifests.map(({ platform }) => platform),
    [
      { os: 'netbsd', architecture: 'amd64' },
      { os: 'netbsd', architecture: '386' },
      { os: 'netbsd', architecture: 'arm64' },
    ],
  );
  const other = elsewhere(t);
  for (const arch of ['i386', 'aarch64'] as const) {
    const result = await other.smol(['pull', name, '--arch', arch, '-o', arch]);
    exits(t, result, 0);
  }
  const arm = 'rescue-evbarm-aarch64.img';
  t.is(sha256(readFileSync(other.path('aarch64', arm))), sha256(readFileSync(box.path('images', arm))));
});

test.serial("smolBSD's own images are read", async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t);
  await box.smol(['build', 'rescue', '--arch', 'i386']);
  const image = readFileSync(box.path('images/rescue-i386.img'));
  // What oras push --artifact-type application/vnd.smolbsd.image makes, put there by skopeo.
  const layout = box.path('layout');
  const blobs = path.join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer | string) => {
    writeFileSync(path.join(blobs, sha256(bytes)), bytes);
    return { digest: `sha256:${sha256(bytes)}`, size: Buffer.byteLength(bytes) };
  };
  const manifest = put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/vnd.smolbsd.image',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', ...put('{}') },
      layers: [
        {
          mediaType: 'application/x-raw-disk-image',
          ...put(image),
          annotations: { 'org.opencontainers.image.title': 'rescue-i386.img' },
        },
      ],
    }),
  );
  const index = { mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest };
  writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion": "1.0.0"}');
  writeFileSync(path.join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [index] }));
  const name = `${registry.host}/netbsdfr/smolbsd/rescue-i386:latest`;
  skopeo('copy', '--dest-tls-verify=false', `oci:${layout}`, `docker://${name}`);

  const other = elsewhere(t);
  const pulled = await other.smol(['pull', name, '-o', 'out']);
  exits(t, pulled, 0);
  t.is(sha256(readFileSync(other.path('out/rescue-i386.img'))), sha256(image));
  const run = await other.smol(['run', name]);
  exits(t, run, 2);
  t.regex(run.stderr, /is a disk without a kernel/);
});

test.serial('signatures: made with one key, checked with the other half', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t, `registry: ${registry.host}/team\n`);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: box.folder, stdio: 'pipe' });
  for (const [name, ...how] of [
    ['ed', 'ed25519'],
    ['ec', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ['no', 'ed25519'],
  ]) {
    openssl('genpkey', '-algorithm', ...how, '-out', `${name}.key`);
    openssl('pkey', '-in', `${name}.key`, '-pubout', '-out', `${name}.pub`);
  }
  const at = (name: string) => box.path(name);
  const pull = (tag: string, key: string) =>
    elsewhere(t).smol(['pull', `${registry.host}/team/rescue:${tag}`, '--key', at(key)]);
  for (const key of ['ed', 'ec']) {
    const pushed = await box.smol(['push', `rescue:${key}`, '--arch', 'i386', '--sign', `${key}.key`]);
    exits(t, pushed, 0);
    exits(t, await pull(key, `${key}.pub`), 0);
  }
  const wrong = await pull('ec', 'no.pub');
  exits(t, wrong, 4);
  t.regex(wrong.stderr, /is not signed with that key: it is signed by somebody else/);
  box.write('services/rescue/etc/motd', 'unsigned\n');
  await box.smol(['push', 'rescue:unsigned', '--arch', 'i386']);
  t.regex((await pull('unsigned', 'ed.pub')).stderr, /nobody has signed it/);
  t.regex((await pull('ed', 'smol.config.yaml')).stderr, /is no public key/);
  t.regex((await pull('ed', 'nowhere.pub')).stderr, /there is no file/);
});

test.serial('names and passwords come from where docker, podman and their helpers keep them', async (t) => {
  const registry = await Registry.start(t, 'ci:s3cret');
  const box = await project(t);
  const target = `${registry.host}/team/rescue`;
  const docker = box.path('docker');
  mkdirSync(docker);
  const push = (env: Record<string, string> = {}) =>
    box.smol(['push', 'rescue', target, '--arch', 'i386'], { env: { DOCKER_CONFIG: docker, ...env } });
  const refused = await push();
  exits(t, refused, 3);
  t.regex(refused.stderr, /answers 401: it does not let us in/);
  t.regex(refused.stderr, new RegExp(`skopeo login ${registry.host}`));

  const login = (user: string) => ({ auths: { [registry.host]: { auth: Buffer.from(user).toString('base64') } } });
  writeFileSync(path.join(docker, 'config.json'), JSON.stringify(login('ci:wrong')));
  exits(t, await push(), 3);
  writeFileSync(path.join(docker, 'config.json'), JSON.stringify(login('ci:s3cret')));
  exits(t, await push(), 0);

  // A helper, as docker calls one.
  box.write(
    'bin/docker-credential-test',
    `#!/bin/sh\nread host\n[ "$1 $host" = "get ${registry.host}" ] || { echo credentials not found in native keychain; exit 1; }
echo '{"ServerURL":"","Username":"ci","Secret":"s3cret"}'\n`,
    0o755,
  );
  const PATH = `${box.path('bin')}:${process.env.PATH}`;
  writeFileSync(path.join(docker, 'config.json'), JSON.stringify({ credHelpers: { [registry.host]: 'test' } }));
  exits(t, await push({ PATH }), 0);
  const lost = await push();
  exits(t, lost, 3);
  t.regex(lost.stderr, /docker-credential-test does not give the credentials/);
  writeFileSync(box.path('auth.json'), JSON.stringify(login('ci:s3cret')));
  exits(t, await push({ REGISTRY_AUTH_FILE: box.path('auth.json') }), 0);
});

test.serial('what is wrong with a name, a registry or what it gives is said', async (t) => {
  const registry = await Registry.start(t);
  const box = await project(t);
  const told = async (args: string[], code: number, why: RegExp) => {
    const result = await box.smol(args);
    exits(t, result, code);
    t.regex(result.stderr, why);
  };
  await told(['push', 'rescue', '--arch', 'i386'], 2, /it is not said which registry rescue is in/);
  await told(['pull', `${registry.host}/UPPER/x`], 2, /names no image in a registry/);
  await told(['pull', 'rescue/x'], 2, /names no image in a registry/);
  await told(['pull', `${registry.host}/team/rescue:9`], 1, /has no image 9/);
  await told(['pull', '127.0.0.1:1/team/rescue'], 3, /cannot be reached: .*ECONNREFUSED/);
  await told(['push', 'nothing', `${registry.host}/x`], 2, /there is no service "nothing"/);
  await told(['run', `${registry.host}/team/rescue:9`], 1, /has no image 9/);
  t.is((await box.smol(['images', '--remote', `${registry.host}/none`])).stdout, 'it has no images\n');

  // A server that gives other bytes than their digests say, or asks for more than an image may.
  const bytes = new Map<string, Buffer>();
  const liar = createServer((request, response) => {
    const found = bytes.get(request.url!);
    response.writeHead(found ? 200 : 404, { 'content-length': found?.length ?? 0 }).end(found);
  });
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void liar.close());
  const host = `127.0.0.1:${(liar.address() as AddressInfo).port}`;
  const give = (config: object, wrong = false) => {
    const text = Buffer.from(JSON.stringify(config));
    const digest = `sha256:${sha256(text)}`;
    bytes.set(`/v2/x/blobs/${digest}`, wrong ? Buffer.from('{'.repeat(text.length)) : text);
    const layers = [{ mediaType: 'application/x-raw-disk-image', digest, size: text.length }];
    const machine = { mediaType: 'application/vnd.smol.machine.v1+json', digest, size: text.length };
    bytes.set('/v2/x/manifests/latest', Buffer.from(JSON.stringify({ schemaVersion: 2, config: machine, layers })));
  };
  const good = {
    version: 1,
    service: 'x',
    arch: 'amd64',
    guest: 'linux',
    partition: 'xroot',
    kernel: { name: 'k', build: { source: 'file:k', machine: 'microvm,rtc=on' } },
    run: {},
  };
  give(good, true);
  await told(['pull', `${host}/x`], 1, /other bytes than/);
  for (const bad of [
    { ...good, service: '../x' },
    { ...good, run: { memory: 'a lot' } },
    { ...good, kernel: { name: 'k', build: { source: 'file:k', machine: 'microvm,firmware=/etc/shadow' } } },
  ]) {
    give(bad);
    await told(['pull', `${host}/x`], 4, /is no image that can be run: it does not say how it is run/);
  }
});
