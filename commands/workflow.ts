import path from 'node:path';
import { readIfThere } from '../host/files.ts';
import type { Project } from '../manifest/project.ts';
import { yamlText } from '../manifest/text.ts';
import { type BuildOptions, planTargets } from './build.ts';
import { NO_REMOTE } from './remote.ts';
import { type Caller, openSession } from './session.ts';

/** What GitHub replaces by its value. */
const expression = (text: string) => `\${{ ${text} }}`;
const [SERVICE, ARCH] = [expression('matrix.service'), expression('matrix.arch')];
const ON_TRUNK = "github.ref == 'refs/heads/main'";

/**
 * A workflow of GitHub Actions that builds services, a job for each target. With a remote cache, trunk writes what others only
 * read; without one, the cache is a directory that jobs hand on.
 */
export async function workflow(caller: Caller, options: BuildOptions): Promise<string> {
  const session = await openSession(caller, NO_REMOTE);
  try {
    const { project } = session;
    const targets = await planTargets(session, options);
    const hasRemote = project.config.value.cache?.remote !== undefined;
    const { setUp, smol, env } = launcher(project);
    const use = expression(`${ON_TRUNK} && 'local:rw,remote:rw' || 'local:rw,remote:r'`);
    const build = `${smol} build ${SERVICE} --arch ${ARCH} --frozen`;
    const secrets = {
      SMOL_CACHE_AUTH: expression('secrets.SMOL_CACHE_AUTH'),
      SMOL_CACHE_TOKEN: expression('secrets.SMOL_CACHE_TOKEN'),
      SMOL_CACHE_KEY: expression(`${ON_TRUNK} && secrets.SMOL_CACHE_KEY || ''`),
    };
    const handOn = {
      uses: 'actions/cache@v4',
      with: {
        path: '~/.cache/smol',
        key: `smol-${SERVICE}-${ARCH}-${expression("hashFiles('smol.lock.yaml', 'services/**')")}`,
        'restore-keys': `smol-${SERVICE}-${ARCH}-\nsmol-`,
      },
    };
    const steps = [
      { uses: 'actions/checkout@v4' },
      { uses: 'actions/setup-node@v4', with: { 'node-version': 22 } },
      { run: 'sudo apt-get update && sudo apt-get install -y --no-install-recommends xz-utils bubblewrap fakeroot' },
      ...setUp.map((run) => ({ run })),
      ...(hasRemote ? [] : [handOn]),
      hasRemote ? { run: `${build} --cache ${use}`, env: secrets } : { run: build },
      {
        uses: 'actions/upload-artifact@v4',
        with: { name: `${SERVICE}-${ARCH}`, path: 'images/*.img', 'if-no-files-found': 'error' },
      },
    ];
    return `# Written by \`smol export github-actions\`.\n${yamlText({
      name: 'smol',
      on: { push: { branches: ['main'] }, pull_request: {} },
      permissions: { contents: 'read' },
      env,
      jobs: {
        image: {
          name: `${SERVICE} for ${ARCH}`,
          'runs-on': 'ubuntu-latest',
          strategy: {
            'fail-fast': false,
            matrix: { include: targets.map(({ service, arch }) => ({ service, arch })) },
          },
          steps,
        },
      },
    })}`;
  } finally {
    session.close();
  }
}

/** How smol is had and started in a project: as its package says, as its own clone, or as a package that is named at the top. */
function launcher({ root }: Project): { setUp: string[]; smol: string; env?: Record<string, string> } {
  const manifest = JSON.parse(readIfThere(path.join(root, 'package.json')) ?? '{}') as Record<string, object>;
  if ((manifest.name as unknown) === 'smol') return { setUp: [], smol: './smol' };
  const has = [manifest.dependencies, manifest.devDependencies].some((each) => each !== undefined && 'smol' in each);
  if (has) return { setUp: ['npm ci'], smol: 'npx smol' };
  return { setUp: ['npm install --global "$SMOL_PACKAGE"'], smol: 'smol', env: { SMOL_PACKAGE: 'smol' } };
}
