import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { writeAtomically } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { Sandbox } from './sandbox.ts';

/** What tests that boot share: kernels are large, and asking apt takes seconds. */
const SHARED = path.join(packageRoot(), 'build', 'test-cache');
const LOCK = path.join(SHARED, 'smol.lock.yaml');

/** A project for Linux guests. The pins of earlier tests are known, and its own are left to later ones if they may be. */
export function linuxProject(t: ExecutionContext<unknown>, { leavesPins = true } = {}): Sandbox {
  mkdirSync(SHARED, { recursive: true });
  const box = new Sandbox(t, 'project', path.join(SHARED, 'cache'));
  box.write('smol.config.yaml', 'release: debian\n');
  if (existsSync(LOCK)) box.write('smol.lock.yaml', readFileSync(LOCK));
  t.teardown(async () => {
    await box.smol(['stop', '--all']);
    // Others may be reading it.
    if (leavesPins && existsSync(box.path('smol.lock.yaml'))) writeAtomically(LOCK, box.read('smol.lock.yaml'));
  });
  return box;
}

/** A service like `hello`, with an rc of the test's own. */
export function writeService(box: Sandbox, name: string, rc: string, more = ''): void {
  box.write(
    `services/${name}/service.yaml`,
    `description: x
sets: [busybox-static]
size: 8M
links: {/sbin/init: /bin/busybox, /bin/sh: busybox}
${more}`,
  );
  box.write(`services/${name}/etc/inittab`, '::sysinit:/bin/busybox sh /etc/rc\n');
  box.write(`services/${name}/etc/rc`, rc);
}
