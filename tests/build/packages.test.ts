import test, { type ExecutionContext } from 'ava';
import { ETC, RESCUE } from '../rig/archives.ts';
import { checkImage, readImage, textsOf } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { ALL, type PublishedPackage, servePackages } from '../rig/packages.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

/** Binary packages as pkgsrc publishes them, on a mirror laid out like NetBSD's. */

const PACKAGES: Readonly<Record<string, PublishedPackage>> = {
  'nginx-1.26.2': { files: { 'sbin/nginx': 'old' } },
  'nginx-1.27.4nb2': {
    depends: ['pcre2>=10.21<11', '{openssl,libressl}>=3'],
    files: { 'sbin/nginx': 'nginx', 'share/examples/nginx.conf': 'conf' },
    script: true,
  },
  'nginx-1.27.4nb10rc1': { files: { 'sbin/nginx': 'candidate' } },
  'nginx-1.27.4': { files: { 'sbin/nginx': 'first' } },
  'pcre2-10.44': { files: { 'lib/libpcre2.so': 'pcre' }, depends: ['zlib-[0-9]*'] },
  'pcre2-11.0': { files: { 'lib/libpcre2.so': 'too new' } },
  'openssl-3.4.1': { files: { 'lib/libssl.so': 'ssl' }, depends: ['zlib>=1.2'] },
  'zlib-1.3': { files: { 'lib/libz.so': 'zlib' } },
  'lonely-1.0': { depends: ['nowhere>=1'] },
  'liar-1.0': { files: { x: 'y' }, checksum: '00'.repeat(20) },
  'other-1.0': { files: { x: 'y' }, calls: 'another-1.0' },
  'rival-2.0': { files: { z: 'y' }, conflicts: ['zlib-[0-9]*'] },
};

async function project(t: ExecutionContext, packages: string) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  box.write('smol.config.yaml', `${await mirror.serveNetbsd({ rescue: RESCUE, etc: ETC })}arch: amd64\nfs: ext2\n`);
  await servePackages(mirror, PACKAGES);
  const want = (wanted: string) =>
    box.write('services/web/service.yaml', `description: x\nsets: [etc]\nsize: 8M\npackages: ${wanted}\n`);
  want(packages);
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  return {
    box,
    mirror,
    want,
    image: box.path('images/web-amd64.img'),
    build: () => box.smol(['build', 'web', '--json']),
  };
}

test.serial('packages, with all that they depend on, are in place and in the package database', async (t) => {
  const { box, mirror, image, build, want } = await project(t, '[nginx]');
  const result = await build();
  exits(t, result, 0);
  t.is(checkImage(image), '');
  const found = readImage(image);
  const texts = textsOf(image, [
    'usr/pkg/sbin/nginx',
    'usr/pkg/lib/libpcre2.so',
    'var/db/pkg/zlib-1.3/+REQUIRED_BY',
    'var/db/pkg/zlib-1.3/+INSTALLED_INFO',
    'var/db/pkg/nginx-1.27.4nb2/+COMMENT',
  ]);
  t.deepEqual(texts, ['nginx', 'pcre', 'openssl-3.4.1\npcre2-10.44\n', 'automatic=YES\n', 'nginx-1.27.4nb2, tested\n']);
  t.like(found.get('usr/pkg/sbin/nginx'), { mode: 0o755, uid: 0, gid: 0 });
  t.like(found.get('usr/pkg/share/empty'), { type: 'directory' });
  t.true(found.has('usr/pkg/lib/libssl.so'));
  // A person asked for nginx, and nobody needs it.
  t.false(found.has('var/db/pkg/nginx-1.27.4nb2/+INSTALLED_INFO'));
  t.false(found.has('var/db/pkg/nginx-1.27.4nb2/+REQUIRED_BY'));
  t.false([...found.keys()].some((name) => name.startsWith('+')));
  t.true(result.stdout.includes('nginx-1.27.4nb2 has a script, +INSTALL, which was not run'));

  // All of it is pinned: the list, and each package; a second build asks nobody.
  const lock = box.read('smol.lock.yaml');
  for (const name of ['pkg_summary.gz', 'nginx-1.27.4nb2.tgz', 'zlib-1.3.tgz']) {
    t.true(lock.includes(`https://cdn.netbsd.org${ALL}/${name}:`), name);
  }
  t.false(lock.includes('11.0/All/pcre2-11.0'));
  const requests = mirror.requests.length;
  t.deepEqual(ranSteps(await build()), []);
  t.is(mirror.requests.length, requests);
  const du = await box.smol(['du', 'web']);
  t.regex(du.stdout, /1 file +the package zlib-1\.3$|files +the package zlib-1\.3$/m);

  // One more package costs no more than itself.
  want('[nginx, openssl]');
  t.deepEqual(
    ranSteps(await build()).filter((step) => /^(fetch|unpack|package)/.test(step)),
    [],
  );
  t.false(readImage(image).has('var/db/pkg/openssl-3.4.1/+INSTALLED_INFO'), 'a person asked for it now');
});

test.serial('patterns of packages: versions, globs, alternatives', async (t) => {
  const { box, build, want } = await project(t, '["nginx<1.27"]');
  const chosen = async (wanted: string) => {
    want(wanted);
    const result = await build();
    exits(t, result, 0);
    const list = await box.smol(['ls', 'web', '/var/db/pkg']);
    return [...list.stdout.matchAll(/\/var\/db\/pkg\/(\S+)$/gm)].map(([, name]) => name);
  };
  t.deepEqual(await chosen('["nginx<1.27"]'), ['nginx-1.26.2']);
  t.deepEqual(await chosen('[nginx-1.27.4]'), ['nginx-1.27.4']);
  t.deepEqual(await chosen('["nginx>=1.27<1.27.4nb1"]'), ['nginx-1.27.4']);
  t.deepEqual(await chosen('["nginx-1.26.*"]'), ['nginx-1.26.2']);
  t.deepEqual(await chosen('["{zzz,zlib}-[0-9]*"]'), ['zlib-1.3']);
});

test.serial('a dry run and a graph have no effects, and say what they cannot know yet', async (t) => {
  const { box, mirror } = await project(t, '[zlib]');
  const dry = await box.smol(['build', 'web', '--dry-run']);
  exits(t, dry, 0);
  t.regex(dry.stdout, /resolve zlib of https:\/\/cdn\.netbsd\.org\S+pkg_summary\.gz/);
  t.deepEqual(mirror.requests, []);
  exits(t, await box.smol(['build', 'web']), 0);
  t.regex((await box.smol(['graph', 'web'])).stdout, /= package zlib-1\.3/);
  exits(t, await box.smol(['build', 'web', '--frozen', '--offline']), 0);
  const verified = await box.smol(['build', 'web', '--verify']);
  exits(t, verified, 0);
});

test.serial('a package that there is not, that lies, that is another, that fits no other', async (t) => {
  const { box, build, want } = await project(t, '[ngnix]');
  const refused = async (wanted: string) => {
    want(wanted);
    const result = await box.smol(['build', 'web']);
    t.not(result.code, 0, wanted);
    return box.told(result);
  };
  t.is(
    await refused('[ngnix]'),
    `error[unknown-package]: there is no package ngnix (did you mean "nginx"?)
  fix: mend packages: in service.yaml; a name means its newest version, "name>=1.2" or "name-1.2" says which`,
  );
  t.regex(await refused('["nginx>=2"]'), /there is no package nginx>=2/);
  t.regex(await refused('[lonely]'), /lonely-1\.0 needs nowhere>=1, which there is not/);
  t.regex(
    await refused('[liar]'),
    /error\[wrong-checksum\]: \S+liar-1\.0\.tgz is not what its publisher says it is\n.*the pkg_summary\.gz of netbsd-11 says sha1 0000/s,
  );
  t.false(box.read('smol.lock.yaml').includes('liar'));
  t.regex(await refused('[other]'), /the package other-1\.0 cannot be unpacked: it says that it is another-1\.0/);
  t.regex(await refused('[nginx, rival]'), /rival-2\.0 and zlib-1\.3 cannot be installed together/);
  t.regex(
    await refused('["nginx<1.27", "nginx>=1.27"]'),
    /nginx-1\.26\.2 and nginx-1\.27\.4nb2 cannot be installed together/,
  );
  want('[zlib]');
  box.write('services/web/service.yaml', `${box.read('services/web/service.yaml')}release: netbsd-head\n`);
  t.regex((await build()).stdout, /the release netbsd-head does not say where its packages come from/);
  t.pass();
});
