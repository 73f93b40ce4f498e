// `npm test`: everything from nothing. Sets up, type-checks, lints, runs every test, QEMU boots included.
// `npm test -- tests/formats` runs only the tests below a folder or in a file, and no other check.
import { spawn, spawnSync } from 'node:child_process';
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
installPackages();
installDebianPackages();
compile();
if (only.length === 0) {
  check('types', 'npx', ['tsc', '-p', '.']);
  check('types of the page', 'npx', ['tsc', '-p', 'web/page']);
  check('lint and format', 'npx', ['biome', 'check', '--error-on-warnings', '.']);
  check('types made from schemas', process.execPath, ['scripts/generate.mjs', '--check']);
}
check('compile tests', process.execPath, ['scripts/build.mjs', '--tests']);
process.exit(await runTests());

function installDebianPackages() {
  const folders = process.env.PATH.split(':');
  const missing = Object.entries(PROGRAMS).filter(
    ([program]) => !folders.some((folder) => existsSync(path.join(folder, program))),
  );
  if (missing.length === 0) return;
  const isRoot = process.getuid?.() === 0;
  const prefix = isRoot ? [] : ['sudo', '-n'];
  const install = [
    ...prefix,
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    ...new Set(missing.map(([, name]) => name)),
  ];
  const run = (words) =>
    spawnSync(words[0], words.slice(1), {
      stdio: ['ignore', 2, 2],
      // No server that comes with a package is to be started by it (invoke-rc.d(8)): the tests start their own.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    }).status;
  if (run(install) === 0) return;
  run([...prefix, 'apt-get', 'update']);
  if (run(install) === 0) return;
  console.error(
    `the tests need ${missing.map(([program]) => program).join(', ')}: run ${install.join(' ').replace('-n ', '')}`,
  );
  process.exit(3);
}

function check(what, program, args) {
  const started = performance.now();
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    console.log(`${what}: failed\n0 passed, 1 failed`);
    process.exit(1);
  }
  console.log(`${what}: ok (${((performance.now() - started) / 1000).toFixed(1)} s)`);
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
