import test from 'ava';
import { textsOf } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

test.serial('from: a service begins with all of another, and goes on', async (t) => {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', await mirror.serveNetbsd());
  box.write('services/low/service.yaml', 'description: x\nsets: [etc]\nsize: 8M\nlinks: {/bin/sh: /rescue/sh}\n');
  box.write('services/low/etc/rc', '#!/bin/sh\necho low\n');
  box.write('services/low/etc/motd', 'low\n');
  box.write('services/high/service.yaml', 'description: x\nfrom: low\nsets: [rescue]\nsize: 12M\n');
  box.write('services/high/etc/motd', 'high\n');
  const build = (...names: string[]) => box.smol(['build', ...names, '--arch', 'i386']);

  const both = await build('high', 'low');
  exits(t, both, 0);
  const [rc, motd, fstab] = textsOf(box.path('images/high-i386.img'), ['etc/rc', 'etc/motd', 'etc/fstab']);
  t.is(rc, '#!/bin/sh\necho low\n');
  t.is(motd, 'high\n');
  t.regex(fstab!, /^NAME=highroot \/ /);
  t.deepEqual(textsOf(box.path('images/low-i386.img'), ['etc/motd']), ['low\n']);

  box.write('services/low/etc/rc', '#!/bin/sh\necho changed\n');
  const again = await build('high');
  exits(t, again, 0);
  t.deepEqual(textsOf(box.path('images/high-i386.img'), ['etc/rc']), ['#!/bin/sh\necho changed\n']);
  t.regex(
    (await box.smol(['why', 'high', '--arch', 'i386'])).stdout,
    /because of\n {2}overlay services\/low\/etc: \/etc\/rc changed 1 line\n/,
  );
});
