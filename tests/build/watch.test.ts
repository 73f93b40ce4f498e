import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

test.serial('build --watch: a line for each change, and none for what nobody changed', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  const config = await mirror.serveNetbsd();
  box.write('smol.config.yaml', config);
  cpSync(path.join(packageRoot(), 'services/rescue'), box.path('services/rescue'), { recursive: true });
  const smol = box.start(t, ['build', 'rescue', '--arch', 'i386', '--watch']);
  t.regex(await smol.until(/watching .*\n/), /16 steps run, 0 cached/);

  box.write('services/rescue/etc/rc', '#!/bin/sh\n# one\n');
  t.regex(await smol.until(/\n/), /^✓ rescue-i386 built in .*, after services\/rescue\/etc\/rc\n$/);

  // What two editors save at once is one change; a temporary file is none.
  box.write('services/rescue/etc/.rc.swp', 'x');
  box.write('services/rescue/etc/rc', '#!/bin/sh\n# two\n');
  box.write('services/rescue/root/new', 'new\n');
  rmSync(box.path('services/rescue/etc/.rc.swp'));
  t.regex(await smol.until(/\n/), /^✓ rescue-i386 built in .*, after .*services\/rescue\/etc\/rc.*\n$/);

  // The same content again, and a comment: nothing to do is said once.
  box.write('services/rescue/service.yaml', `# a comment\n${box.read('services/rescue/service.yaml')}`);
  t.regex(await smol.until(/\n/), /^= nothing to do in .*, after services\/rescue\/service.yaml\n$/);

  // A mistake is told with its place, and the line that mends it is a change like any other.
  const good = box.read('services/rescue/service.yaml');
  box.write('services/rescue/service.yaml', good.replace('size:', 'sise:'));
  t.regex(await smol.until(/fix: .*\n/), /^error\[unknown-key\]: unknown key "sise" \(did you mean "size"\?\)\n/);
  box.write('services/rescue/service.yaml', good.replace('20M', '21M'));
  t.regex(await smol.until(/\n/), /^✓ rescue-i386 built in /);
  box.write('smol.config.yaml', `${config}sourceDate: 2020-02-02\n`);
  t.regex(await smol.until(/\n/), /^✓ rescue-i386 built in .*, after smol\.config\.yaml\n/);

  await setTimeout(1000);
  t.is(smol.rest, '', 'what a build writes is no change');
  smol.signal('SIGINT');
  t.is(await smol.ended, 130);
});

test.serial('build --watch: what no saved file can mend ends it', async (t) => {
  const box = new Sandbox(t);
  box.write('smol.config.yaml', 'release: netbsd-11\n');
  const result = await box.smol(['build', 'rescoe', '--watch']);
  exits(t, result, 2);
  t.regex(result.stderr, /^error\[unknown-service\]: there is no service "rescoe" \(did you mean "rescue"\?\)/);
  const both = await box.smol(['run', 'rescue', '--watch', '--detach']);
  exits(t, both, 2);
  t.regex(both.stderr, /^error\[usage\]: --watch stays with the VM, and --detach leaves it/);
});
