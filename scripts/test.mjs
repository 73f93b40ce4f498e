// `npm test`: everything from nothing. Sets up, type-checks, lints, runs every test, QEMU boots included.
// `npm test -- tests/formats` runs only the tests below a folder or in a file, and no other check.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { compile, installPackages, root } from './setup.mjs';

/** What the tests use of Debian: a program, and the package that brings it. */
const PROGRAMS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-system-aarch64': 'qemu-system-arm',
  'qemu-img': 'qemu-utils',
  debugfs: 'e2fsprogs',
  sgdisk: 'gdisk',
  xz: 'xz-utils',
  bsdtar: 'libarchive-tools',
  makefs: 'makefs',
  fls: 'sleuthkit',
  ssh: 'openssh-client',
  tmux: 'tmux',
  bwrap: 'bubblewrap',
  fakeroot: 'fakeroot',
  chromium: 'chromium',
  nginx: 'nginx-light',
  openssl: 'openssl',
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  umoci: 'umoci',
  protoc: 'protobuf-compiler',
  slurmctld: 'slurm-wlm',
  munged: 'munge',
  ninja: 'ninja-build',
  make: 'make',
  'systemd-analyze': 'systemd',
};

// Debian keeps sgdisk, mke2fs and debugfs where a user's PATH does not look.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

const only = process.argv.slice(2);
const debianPackages = installDebianPackages();
installPackages();
compile();
const checks = [check('compile tests', process.execPath, ['scripts/build.mjs', '--tests'])];
if (only.length === 0) {
  checks.push(
    check('types', 'npx', ['tsc', '-p', '.']),
    check('types of the page', 'npx', ['tsc', '-p', 'web/page']),
    check('lint and format', 'npx', ['biome', 'check', '--error-on-warnings', '.']),
    check('types made from schemas', process.execPath, ['scripts/generate.mjs', '--check']),
  );
}
await Promise.all(checks);
await debianPackages;
process.exit(await runTests());

/** Installs what is missing, while other work goes on: it takes a minute on a fresh machine. */
async function installDebianPackages() {
  const folders = process.env.PATH.split(':');
  const missing = Object.entries(PROGRAMS).filter(
    ([program]) => !folders.some((folder) => existsSync(path.join(folder, program))),
  );
  if (missing.length === 0) return;
  const apt = process.getuid?.() === 0 ? 'apt-get' : 'sudo -n apt-get';
  const install = `${apt} install -y --no-install-recommends ${[...new Set(missing.map(([, name]) => name))].join(' ')}`;
  const { code } = await ended(
    spawn('sh', ['-c', `${install} || { ${apt} update && ${install}; }`], {
      stdio: ['ignore', 2, 2],
      // No server that comes with a package is to be started by it (invoke-rc.d(8)): the tests start their own.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    }),
  );
  if (code === 0) return;
  const names = missing.map(([program]) => program).join(', ');
  console.error(`the tests need ${names}: run ${install.replace('-n ', '')}`);
  process.exit(3);
}

/** What it prints is shown as one, when it has ended: others run beside it. */
async function check(what, program, args) {
  const started = performance.now();
  const { code, output } = await ended(spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] }));
  process.stdout.write(output);
  if (code !== 0) {
    console.log(`${what}: failed\n0 passed, 1 failed`);
    process.exit(1);
  }
  console.log(`${what}: ok (${((performance.now() - started) / 1000).toFixed(1)} s)`);
}

async function ended(child) {
  const pieces = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece) => pieces.push(piece));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, output: Buffer.concat(pieces) };
}

/** Runs ava, tells at the end once more what failed, and closes with the line that CI looks for. */
function runTests() {
  const patterns = only.map(
    (name) => path.join('build', name.replace(/\.ts$/, '.js')) + (name.endsWith('.ts') ? '' : '/**'),
  );
  const ava = spawn('npx', ['ava', '--tap', ...patterns], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const failures = [];
  let inFailure = false;
  createInterface({ input: ava.stdout }).on('line', (line) => {
    const result = /^(ok|not ok) \d+ - (.*)$/.exec(line);
    if (result === null) {
      if (/^(TAP version|1\.\.|# )/.test(line) || line.trim() === '') return;
      console.log(line);
      if (inFailure) failures.push(line);
      return;
    }
    const kind = result[1] === 'not ok' ? 'failed' : /# SKIP/.test(line) ? 'skipped' : 'passed';
    const told = `${{ passed: '✓', failed: '✗', skipped: '-' }[kind]} ${result[2]}`;
    counts[kind]++;
    inFailure = kind === 'failed';
    if (inFailure) failures.push(told);
    console.log(told);
  });
  return new Promise((resolve) => {
    ava.on('close', (code) => {
      if (code !== 0 && counts.failed === 0) counts.failed = 1;
      // Who reads only the end of a log, as CI shows it, has all that is needed.
      if (failures.length > 0) console.log(['', 'What failed:', ...failures].join('\n'));
      console.log(
        `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`,
      );
      resolve(code);
    });
  });
}
