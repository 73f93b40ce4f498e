import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { Nginx, type NginxSettings } from '../rig/nginx.ts';
import { cleanEnvironment, exits, type Result, ranSteps, runProgram, Sandbox } from '../rig/sandbox.ts';

const IMAGE = 'images/rescue-i386.img';

/** Machines of one team: each with a cache of its own, and one mirror. */
class Team {
  readonly #t: ExecutionContext;
  readonly mirror: Mirror;
  readonly #mirrors: string;
  /** The public key, and the file with the private one. */
  key = '';
  keyFile = '';

  private constructor(t: ExecutionContext, mirror: Mirror, mirrors: string) {
    this.#t = t;
    this.mirror = mirror;
    this.#mirrors = mirrors;
  }

  static async of(t: ExecutionContext): Promise<Team> {
    const mirror = await Mirror.start(t);
    const team = new Team(t, mirror, await mirror.serveNetbsd());
    const box = new Sandbox(t);
    team.keyFile = box.path('key.pem');
    team.key = (await box.smol(['cache', 'key', team.keyFile])).stdout.trim();
    return team;
  }

  /** A machine whose project has this for a remote cache; the pins are those of another one. */
  machine(remote: string, like?: Sandbox): Sandbox {
    const box = new Sandbox(this.#t);
    box.write('smol.config.yaml', `${this.#mirrors}cache:\n  remote:\n${remote.replaceAll(/^/gm, '    ')}\n`);
    cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
    if (like !== undefined) box.write('smol.lock.yaml', like.read('smol.lock.yaml'));
    return box;
  }
}

function build(box: Sandbox, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Result> {
  return box.smol(['build', 'rescue', '--arch', 'i386', '--json', ...args], { env });
}

/** What the summary says of the remote cache. */
function remoteOf({ events }: Result): Record<string, unknown> {
  return (events.find(({ type }) => type === 'build-finished')?.remote ?? {}) as Record<string, unknown>;
}

function notices({ events }: Result): string[] {
  return events.filter(({ type }) => type === 'notice').map(({ text }) => String(text));
}

function digestOf(box: Sandbox): string {
  return sha256(readFileSync(box.path(IMAGE)));
}

/** A cache that one machine has filled. */
async function filled(t: ExecutionContext, settings: NginxSettings = {}) {
  const nginx = await Nginx.start(t, settings);
  const team = await Team.of(t);
  // Other tests may keep this machine busy for long.
  const remote = `url: ${nginx.url}/cache\ntrust: [${team.key}]\ntimeout: 60`;
  const first = team.machine(`${remote}\nmode: readwrite`);
  const built = await build(first, [], { SMOL_CACHE_KEY: team.keyFile });
  exits(t, built, 0);
  return { nginx, team, remote, first, built };
}

test.serial('what one machine made, a second one takes: it runs nothing but the writing of its image', async (t) => {
  const { nginx, team, remote, first, built } = await filled(t);
  t.deepEqual([remoteOf(built).hits, remoteOf(built).trouble], [0, undefined]);
  t.true((remoteOf(built).sent as number) > 0);
  const requests = team.mirror.requests.length;
  const asked = nginx.requests().length;

  const second = team.machine(remote, first);
  const again = await build(second);
  exits(t, again, 0);
  t.deepEqual(ranSteps(again), ['image rescue-i386']);
  t.is(digestOf(second), digestOf(first));
  t.is(team.mirror.requests.length, requests, 'nothing was fetched from the mirror');
  const { hits, misses, received, sent } = remoteOf(again);
  t.deepEqual([hits, misses, sent], [15, 0, 0]);
  t.true((received as number) > 0);
  // One for each record, one for each blob that was really needed, and the first one: at most two a step.
  const after = nginx.requests().slice(asked);
  t.is(after.filter((line) => line.startsWith('GET /cache/ac/')).length, 15);
  t.true(after.length <= 2 * 15, after.join('\n'));
  t.true(
    after.every((line) => !line.startsWith('PUT')),
    'it only reads',
  );

  // With nothing changed nobody is asked.
  const idle = await build(second);
  t.deepEqual(ranSteps(idle), []);
  t.is(nginx.requests().length, asked + after.length);
  t.regex((await second.smol(['build', 'rescue', '--arch', 'i386'])).stderr, /remote cache: not asked/);
});

const NOBODY = '65534';
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const cannotBeNobody = whyNotNobody();

/** Why smol cannot be run as another user here, or undefined if it can. */
function whyNotNobody(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const main = path.join(packageRoot(), 'build/smol/main.js');
  const { status } = spawnSync(AS_NOBODY[0]!, [...AS_NOBODY.slice(1), process.execPath, main, '--version']);
  return status === 0 ? undefined : 'smol lies where another user cannot read it';
}

(cannotBeNobody === undefined ? test : test.skip)(
  `another user, with another cache, shares it too${cannotBeNobody ? ` (${cannotBeNobody})` : ''}`,
  async (t) => {
    const { team, remote, first } = await filled(t);
    const second = team.machine(remote, first);
    const base = path.dirname(second.folder);
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, base]);
    const args = ['build', 'rescue', '--arch', 'i386', '--json'];
    const words = [...AS_NOBODY, process.execPath, path.join(packageRoot(), 'build/smol/main.js'), ...args];
    const env = { ...cleanEnvironment(), SMOL_CACHE: path.join(base, 'theirs'), HOME: base };
    const result = await runProgram(words, { cwd: second.folder, env });
    exits(t, result, 0);
    t.deepEqual(ranSteps(result), ['image rescue-i386']);
    t.is(digestOf(second), digestOf(first));
    t.is(statSync(second.path(IMAGE)).uid, Number(NOBODY));
  },
);

test.serial('the results are those of the standard, and a sentence says what they were good for', async (t) => {
  const { nginx, team, remote, first } = await filled(t);
  const [name = ''] = readdirSync(path.join(nginx.folder, 'cache/ac'));
  const { decodeActionResult } = await import('../../formats/actionresult.ts');
  const { files } = decodeActionResult(readFileSync(path.join(nginx.folder, 'cache/ac', name)));
  t.deepEqual(
    files.slice(0, 2).map((file) => file.path),
    ['record.json', 'signature.json'],
  );
  for (const { digest, size, contents } of files) {
    const bytes = contents ?? readFileSync(path.join(nginx.folder, 'cache/cas', digest));
    t.deepEqual([sha256(bytes), bytes.length], [digest, size]);
  }
  // protoc knows the encoding, and sees the fields that remote_execution.proto numbers so.
  const raw = execFileSync('protoc', ['--decode_raw'], {
    input: readFileSync(path.join(nginx.folder, 'cache/ac', name)),
  });
  t.is([...raw.toString().matchAll(/^2 \{$/gm)].length, files.length);
  t.true(raw.toString().includes(`1: "${files[2]!.digest}"\n    2: ${files[2]!.size}\n`), raw.toString());
  const second = team.machine(remote, first);
  const told = await second.smol(['build', 'rescue', '--arch', 'i386']);
  t.regex(told.stderr, /remote cache: 15 of 15 steps found \(100 %\), \d[\d.]* KiB received/);
});

test.serial('nobody is believed but who is trusted, and no byte that is not what its digest says', async (t) => {
  const { nginx, team, remote, first } = await filled(t);
  const all = 16;
  const stranger = new Sandbox(t);
  const other = (await stranger.smol(['cache', 'key', 'other.pem'])).stdout.trim();

  const distrustful = team.machine(remote.replace(team.key, other), first);
  const alone = await build(distrustful);
  t.is(ranSteps(alone).length, all);
  t.is(remoteOf(alone).hits, 0);
  t.true(notices(alone).some((text) => text.includes(`signed by ${team.key}, who is not trusted`)));
  t.is(digestOf(distrustful), digestOf(first));

  // A record of one step under the key of another: signed, but not as that.
  const results = path.join(nginx.folder, 'cache/ac');
  const names = readdirSync(results);
  const bytes = names.map((name) => readFileSync(path.join(results, name)));
  for (const [n, name] of names.entries()) writeFileSync(path.join(results, name), bytes[(n + 1) % names.length]!);
  const mixed = team.machine(remote, first);
  const second = await build(mixed);
  t.is(remoteOf(second).hits, 0);
  t.true(notices(second).some((text) => text.includes('did not sign as it is')));
  t.is(digestOf(mixed), digestOf(first));

  // Results as they were, and blobs that are not.
  for (const [n, name] of names.entries()) writeFileSync(path.join(results, name), bytes[n]!);
  const blobs = path.join(nginx.folder, 'cache/cas');
  for (const name of readdirSync(blobs)) writeFileSync(path.join(blobs, name), 'something else');
  const third = team.machine(remote, first);
  const wrong = await build(third);
  exits(t, wrong, 0);
  t.true(notices(wrong).some((text) => text.includes('has other bytes for')));
  t.is(digestOf(third), digestOf(first));

  // Blobs that are gone, results that are no results.
  rmSync(blobs, { recursive: true });
  const fourth = team.machine(remote, first);
  exits(t, await build(fourth), 0);
  t.is(digestOf(fourth), digestOf(first));
  for (const name of names) writeFileSync(path.join(results, name), Buffer.alloc(100, 0xff));
  const fifth = team.machine(remote, first);
  const none = await build(fifth);
  exits(t, none, 0);
  t.true(notices(none).some((text) => text.includes('no result of an action')));
  t.is(digestOf(fifth), digestOf(first));
});

test.serial('what is verified is run here, whatever others have', async (t) => {
  const { team, remote } = await filled(t);
  const chancy = (box: Sandbox) => box.write('services/rescue/postinst/now.sh', 'date +%N > etc/now\n');
  const first = team.machine(`${remote}\nmode: readwrite`);
  chancy(first);
  exits(t, await build(first, [], { SMOL_CACHE_KEY: team.keyFile }), 0);
  const second = team.machine(remote, first);
  chancy(second);
  t.deepEqual(ranSteps(await build(second)), ['image rescue-i386']);
  t.is(digestOf(second), digestOf(first));
  const verified = await second.smol(['build', 'rescue', '--arch', 'i386', '--verify']);
  exits(t, verified, 1);
  t.regex(verified.stderr, /not-reproducible.*now\.sh[\s\S]*etc\/now/);
});

test.serial('namespaces keep apart what is trusted differently', async (t) => {
  const { nginx, team, remote, first } = await filled(t);
  const pr = team.machine(`${remote}\nmode: readwrite\nnamespace: pr`, first);
  const own = await build(pr, [], { SMOL_CACHE_KEY: team.keyFile });
  t.is(remoteOf(own).hits, 0);
  const reader = team.machine(`${remote}\nnamespace: pr2\nalsoRead: [trunk]`, first);
  t.is(remoteOf(await build(reader)).hits, 15);
  t.is(readdirSync(path.join(nginx.folder, 'cache/ac')).length, 30);
});

test.serial('who may write is who has the key, and --cache says otherwise for one build', async (t) => {
  const { nginx, team, remote, first } = await filled(t);
  const writer = team.machine(`${remote}\nmode: readwrite`, first);
  const keyless = await writer.smol(['build', 'rescue', '--arch', 'i386']);
  exits(t, keyless, 3);
  t.regex(keyless.stderr, /must be signed, and there is no key to sign with/);
  const bad = await writer.smol(['build', 'rescue', '--arch', 'i386'], { env: { SMOL_CACHE_KEY: team.mirror.url } });
  t.regex(bad.stderr, /there is no file/);
  writeFileSync(writer.path('no.pem'), 'no key');
  const none = await writer.smol(['build', 'rescue', '--arch', 'i386'], { env: { SMOL_CACHE_KEY: 'no.pem' } });
  t.regex(none.stderr, /no\.pem is no private key of Ed25519/);

  const before = nginx.requests().length;
  t.is(ranSteps(await build(writer, ['--cache', 'remote:'])).length, 16);
  t.is(nginx.requests().length, before);
  // All anew, though both caches have it.
  const anew = await build(writer, ['--cache', 'local:w,remote:']);
  t.is(ranSteps(anew).length, 16);
  t.is(digestOf(writer), digestOf(first));
  t.deepEqual(ranSteps(await build(writer, ['--cache', 'local:rw,remote:r'])), []);

  for (const [use, why] of [
    ['local:r', /the local cache is always written to/],
    ['lokal:rw', /--cache lokal:rw means nothing/],
    ['remote:x', /--cache remote:x means nothing/],
  ] as const) {
    const wrong = await writer.smol(['build', 'rescue', '--cache', use]);
    exits(t, wrong, 2);
    t.regex(wrong.stderr, why);
  }
  writer.write('smol.config.yaml', 'release: netbsd-11\n');
  t.regex((await writer.smol(['build', 'rescue', '--cache', 'remote:r'])).stderr, /names no remote cache/);
  writer.write('smol.config.yaml', `cache: {remote: {url: ${nginx.url}}}\n`);
  t.regex((await writer.smol(['build', 'rescue'])).stderr, /trust/);
});

/** A server that does with each request what a test wants. */
async function faulty(t: ExecutionContext, answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.serial('a server that fails, hangs, breaks off or is not there costs little and no result', async (t) => {
  const { team, first } = await filled(t);
  const tried: string[] = [];
  const check = async (url: string, why: RegExp, requests?: number, timeout = 60) => {
    const box = team.machine(`url: ${url}\ntrust: anyone\nmode: readwrite\ntimeout: ${timeout}`, first);
    tried.length = 0;
    const result = await build(box);
    exits(t, result, 0);
    t.is(digestOf(box), digestOf(first));
    t.is(ranSteps(result).length, 16);
    t.regex(String(remoteOf(result).trouble), why);
    t.is(notices(result).filter((text) => text.includes('without the remote cache')).length, 1);
    if (requests !== undefined) t.true(tried.length <= requests, `${tried.length}`);
    const strict = team.machine(`url: ${url}\ntrust: anyone\ntimeout: ${timeout}`, first);
    const failed = await strict.smol(['build', 'rescue', '--arch', 'i386', '--require-cache']);
    exits(t, failed, 3);
    t.regex(failed.stderr, /the remote cache \S+ cannot be used/);
  };
  await check('http://127.0.0.1:1/', /ECONNREFUSED/);
  const e500 = await faulty(t, (request, response) => {
    tried.push(request.url!);
    response.writeHead(500).end('no');
  });
  await check(e500, /it answers 500/, 1);
  // One that is there at first.
  const later = await faulty(t, (request, response) => {
    tried.push(request.url!);
    response.writeHead(request.method === 'HEAD' ? 404 : 503).end();
  });
  await check(later, /it answers 503/, 12);
  const hangs = await faulty(t, () => undefined);
  await check(hangs, /Timeout|timed out/i, undefined, 0.3);
  const gone = await faulty(t, (request, response) => {
    if (request.method === 'HEAD') response.writeHead(404).end();
    else request.socket.destroy();
  });
  await check(gone, /socket hang up|ECONNRESET/);
  const known = await faulty(t, (_, response) => void response.writeHead(401).end());
  await check(known, /it does not know who asks/, 1);
});

test.serial('a server that is full or takes nothing is read all the same', async (t) => {
  const { nginx, team, first } = await filled(t);
  let puts = 0;
  const proxy = await faulty(t, async (request, response) => {
    if (request.method === 'PUT') {
      puts++;
      request.resume();
      response.writeHead(507).end('full');
      return;
    }
    const { body, status } = await fetch(`${nginx.url}${request.url}`, { method: request.method! });
    response.writeHead(status);
    for await (const chunk of body ?? []) response.write(chunk);
    response.end();
  });
  const box = team.machine(`url: ${proxy}/cache\ntrust: [${team.key}]\nmode: readwrite\ntimeout: 60`, first);
  box.write('services/rescue/etc/motd', 'something new\n');
  const result = await build(box, [], { SMOL_CACHE_KEY: team.keyFile });
  exits(t, result, 0);
  t.true((remoteOf(result).hits as number) > 8);
  t.is(remoteOf(result).trouble, 'it answers 507');
  t.true(puts <= 4);
});

test.serial('what breaks off half way is fetched again, or made', async (t) => {
  const { nginx, team, first } = await filled(t);
  const halves = await faulty(t, async (request, response) => {
    const { status, ...answer } = await fetch(`${nginx.url}${request.url}`, { method: request.method! }).then(
      async (found) => ({ status: found.status, bytes: Buffer.from(await found.arrayBuffer()) }),
    );
    response.writeHead(status, request.method === 'HEAD' ? {} : { 'content-length': answer.bytes.length });
    if (!request.url!.includes('/cas/') || request.method === 'HEAD') return void response.end(answer.bytes);
    response.write(answer.bytes.subarray(0, answer.bytes.length / 2), () => request.socket.destroy());
  });
  const box = team.machine(`url: ${halves}/cache\ntrust: [${team.key}]\ntimeout: 60`, first);
  const result = await build(box);
  exits(t, result, 0);
  t.is(digestOf(box), digestOf(first));
  t.is(remoteOf(result).hits, 15);
});

test.serial('names and passwords, tokens, and certificates on both sides', async (t) => {
  const guarded = await Nginx.start(t, { user: 'ci:s3cret' });
  const team = await Team.of(t);
  const remote = `url: ${guarded.url}/c\ntrust: anyone\nmode: readwrite\ntimeout: 60`;
  const first = team.machine(remote);
  const refused = await build(first, [], { SMOL_CACHE_AUTH: 'ci:wrong' });
  exits(t, refused, 0);
  t.regex(String(remoteOf(refused).trouble), /it answers 401: it does not know who asks/);
  const taken = await build(team.machine(remote, first), [], { SMOL_CACHE_AUTH: 'ci:s3cret' });
  t.true((remoteOf(taken).sent as number) > 0);
  t.is(remoteOf(await build(team.machine(remote, first), [], { SMOL_CACHE_AUTH: 'ci:s3cret' })).hits, 15);

  const secure = await Nginx.start(t, { tls: { clients: true } });
  const at = (name: string) => path.join(secure.base, name);
  const tls = `url: ${secure.url}/c\ntrust: anyone\nmode: readwrite\ntimeout: 60`;
  const unknown = await build(team.machine(tls, first));
  t.regex(String(remoteOf(unknown).trouble), /certificate/);
  const anonymous = await build(team.machine(`${tls}\ntls: {ca: ${at('ca.crt')}}`, first));
  t.regex(String(remoteOf(anonymous).trouble), /it answers 400|certificate/);
  const known = `${tls}\ntls: {ca: ${at('ca.crt')}, cert: ${at('client.crt')}, key: ${at('client.key')}}`;
  t.true((remoteOf(await build(team.machine(known, first))).sent as number) > 0);
  t.is(remoteOf(await build(team.machine(known, first))).hits, 15);
  const lost = team.machine(`${tls}\ntls: {ca: nowhere.crt}`, first);
  t.regex((await lost.smol(['build', 'rescue'])).stderr, /there is no file \S+nowhere\.crt/);

  const tokens: (string | undefined)[] = [];
  const bearer = await faulty(t, (request, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  await build(team.machine(`url: ${bearer}\ntrust: anyone`, first), [], { SMOL_CACHE_TOKEN: 'abc' });
  t.deepEqual([...new Set(tokens)], ['Bearer abc']);
});

test.serial('what takes longer to fetch than it took to make is made', async (t) => {
  // Records come as fast as ever; the trees would take a minute.
  const { team, remote, first } = await filled(t, { location: 'if ($uri ~ /cas/) { set $limit_rate 50; }' });
  const box = team.machine(remote, first);
  const started = Date.now();
  const result = await build(box);
  exits(t, result, 0);
  t.is(digestOf(box), digestOf(first));
  t.is(remoteOf(result).hits, 15);
  t.true(ranSteps(result).length === 1 && Date.now() - started < 30_000);
  // That somebody else is faster is no trouble of the server's.
  t.true((remoteOf(result).slower as number) > 0);
  t.is(remoteOf(result).trouble, undefined);
});

test.serial('a key is made once, for its owner alone', async (t) => {
  const box = new Sandbox(t);
  const made = await box.smol(['cache', 'key', 'k.pem']);
  t.regex(made.stdout, /^ed25519:[\w+/]{43}=\n$/);
  t.is(statSync(box.path('k.pem')).mode & 0o777, 0o600);
  t.is((await box.smol(['cache', 'key', 'k.pem'])).stdout, made.stdout);
  box.write('other.pem', 'something else');
  const wrong = await box.smol(['cache', 'key', 'other.pem']);
  exits(t, wrong, 3);
  t.is(box.read('other.pem'), 'something else');
});
