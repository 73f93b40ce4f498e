import { statSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { sha256 } from '../../host/files.ts';
import type { Member } from '../rig/archives.ts';
import { ETC, RESCUE } from '../rig/archives.ts';
import { checkImage, readImage, textsOf } from '../rig/debugfs.ts';
import { Mirror } from '../rig/mirror.ts';
import { exits, ranSteps, Sandbox } from '../rig/sandbox.ts';

/** What a root can be made of besides whole sets and overlays. */

const COMP: readonly Member[] = [
  { name: './usr/', content: null },
  { name: './usr/bin/', content: null, mode: 0o555, gid: 7 },
  { name: './usr/bin/strip', content: 'strip', mode: 0o555 },
  { name: './usr/bin/nm', content: 'nm', mode: 0o555 },
  { name: './usr/lib/', content: null },
  { name: './usr/lib/libc.so', content: { symlink: 'libc.so.12' } },
  { name: './usr/lib/libc.so.12', content: 'libc' },
  { name: './usr/lib/libm.a', content: 'libm' },
  { name: './usr/include/', content: null },
  { name: './usr/include/sys/', content: null },
  { name: './usr/include/sys/.hidden.h', content: 'h' },
  { name: './usr/include/sys/types.h', content: 'types' },
  { name: './usr/include/stdio.h', content: 'stdio' },
];

const PASSWD = 'root:*:0:0::0:0::/root:/bin/sh\nwww:*:24:24::0:0::/:/sbin/nologin\n';

async function project(t: ExecutionContext, service: string) {
  const mirror = await Mirror.start(t);
  const box = new Sandbox(t);
  const etc = [...ETC, { name: './etc/group', content: 'wheel:*:0:root\nwww:*:24:\n' }].map((member) =>
    member.name === './etc/master.passwd' ? { ...member, content: PASSWD } : member,
  );
  box.write(
    'smol.config.yaml',
    `${await mirror.serveNetbsd({ rescue: RESCUE, etc, comp: COMP })}arch: amd64\nfs: ext2\n`,
  );
  box.write('services/web/service.yaml', service);
  box.write('services/web/etc/rc', '#!/bin/sh\n');
  const image = box.path('images/web-amd64.img');
  const build = async () => {
    const result = await box.smol(['build', 'web', '--json']);
    exits(t, result, 0);
    t.is(checkImage(image), '');
    return ranSteps(result);
  };
  const refused = async () => {
    const result = await box.smol(['build', 'web']);
    t.not(result.code, 0);
    return box.told(result);
  };
  return { box, mirror, image, build, refused };
}

const SETS = (parts: string) => `description: x\nsets: [etc, "comp:${parts}"]\nsize: 8M\n`;

test.serial('parts of a set: names, patterns, whole directories', async (t) => {
  const { box, image, build } = await project(t, SETS('usr/bin/strip, ./usr/lib/*.so*,/usr/include/sys/'));
  await build();
  const names = () => [...readImage(image).keys()].filter((name) => name.startsWith('usr')).sort();
  t.deepEqual(names(), [
    'usr',
    'usr/bin',
    'usr/bin/strip',
    'usr/include',
    'usr/include/sys',
    'usr/include/sys/.hidden.h',
    'usr/include/sys/types.h',
    'usr/lib',
    'usr/lib/libc.so',
    'usr/lib/libc.so.12',
  ]);
  // A directory that is only on the way is what the set says of it.
  t.like(readImage(image).get('usr/bin'), { mode: 0o555, gid: 7 });

  box.write('services/web/service.yaml', SETS('**/*.{a,h}'));
  const ran = await build();
  t.false(
    ran.some((step) => step.startsWith('unpack') || step.startsWith('fetch')),
    ran.join(),
  );
  t.deepEqual(
    names().filter((name) => name.includes('.')),
    ['usr/include/stdio.h', 'usr/include/sys/.hidden.h', 'usr/include/sys/types.h', 'usr/lib/libm.a'],
  );
});

test.serial('a part that matches nothing, a set that there is not, no part at all', async (t) => {
  const { box, refused } = await project(t, SETS('usr/bin/stirp'));
  t.is(
    await refused(),
    `error[unmatched-part]: the set comp has nothing that matches "usr/bin/stirp" (did you mean "usr/bin/strip"?)
  fix: mend the part in sets: of service.yaml; * stands for anything within a name, ** for any directories`,
  );
  box.write('services/web/service.yaml', SETS(','));
  t.regex(await refused(), /"comp:," names no part after its colon/);
  box.write('services/web/service.yaml', SETS('usr').replace('comp:', 'cmp:'));
  t.regex(await refused(), /there is no set "cmp" \(did you mean "comp"\?\)/);
});

test.serial('a hand-made root with a specification of owners, modes and devices', async (t) => {
  const { box, image, build, refused } = await project(
    t,
    'description: x\nsets: [etc]\nsize: 8M\nrootdir: {path: root-of-web, mtree: web.mtree}\n',
  );
  box.write('services/web/root-of-web/var/www/index.html', 'hello\n', 0o600);
  box.write('services/web/root-of-web/var/www/a name', 'space\n');
  box.write(
    'services/web/web.mtree',
    `#mtree v2.0
/set type=file uname=www gname=wheel mode=0644
.               type=dir uname=root mode=0755
    var         type=dir uname=root mode=0755
        www     type=dir mode=02775 gname=www
            index.html mode=0640
            a\\040name  uid=7 \\
                       gid=13
            current type=link link=index.html
        ..
        run     type=dir mode=0700
        ..
    ..
..
./dev/null2     type=char device=netbsd,2,2 mode=0666 uname=root
./var/queue     type=fifo mode=0600
./etc/missing   type=file optional
`,
  );
  await build();
  const found = readImage(image);
  t.like(found.get('var/www'), { type: 'directory', mode: 0o2775, uid: 24, gid: 24 });
  t.like(found.get('var/www/index.html'), { mode: 0o640, uid: 24, gid: 0, sha256: sha256('hello\n') });
  t.like(found.get('var/www/a name'), { mode: 0o644, uid: 7, gid: 13 });
  t.like(found.get('var/www/current'), { type: 'symlink', target: 'index.html', uid: 24 });
  t.like(found.get('var/run'), { type: 'directory', mode: 0o700, uid: 24 });
  t.like(found.get('dev/null2'), { mode: 0o666, uid: 0 });
  t.like(found.get('var/queue'), { mode: 0o600, uid: 24 });
  const listed = (await box.smol(['ls', '-r', 'web', '/'])).stdout;
  t.regex(listed, /^crw-rw-rw- .* 2,2 .* \/dev\/null2$/m);
  t.regex(listed, /^prw------- .* \/var\/queue$/m);
  t.false(found.has('etc/missing'));

  const spec = box.read('services/web/web.mtree');
  box.write('services/web/web.mtree', spec.replace('uname=www gname', 'uname=wwww gname'));
  t.regex(await refused(), /services\/web\/web\.mtree, line 5: there is no user wwww in the sets or the rootdir/);
  box.write('services/web/web.mtree', spec.replace(' optional', ''));
  t.regex(await refused(), /line 17: the rootdir has no file \/etc\/missing/);
  box.write('services/web/web.mtree', `${spec}..\n`);
  t.regex(await refused(), /bad-mtree.*: line 18 leaves the root/);
  box.write('services/web/web.mtree', spec.replace('mode=0640', 'mode=rw'));
  t.regex(await refused(), /line 6 has mode=rw/);
  box.write('services/web/web.mtree', spec.replace('index.html mode', 'index.html type=dir mode'));
  t.regex(await refused(), /\/var\/www\/index\.html is a file, not a directory/);
  box.write(
    'services/web/service.yaml',
    'description: x\nsets: [etc]\nrootdir: {path: root-of-web, mtree: wbe.mtree}\n',
  );
  t.regex(
    await refused(),
    /there is no file <project>\/services\/web\/wbe\.mtree\n --> services\/web\/service\.yaml:3:37/,
  );
});

test.serial('the kernel in the image, too', async (t) => {
  const { image, build } = await project(t, 'description: x\nsets: [etc]\nsize: 8M\nkernel: {inImage: true}\n');
  await build();
  const kernel = 'a kernel of the test rig\n'.repeat(100);
  t.like(readImage(image).get('netbsd'), { type: 'file', mode: 0o755, uid: 0, gid: 0, sha256: sha256(kernel) });
});

test.serial('files that the manifest writes itself, or takes from elsewhere', async (t) => {
  const manifest = `description: x
sets: [etc]
size: 8M
files:
  /etc/motd: {content: "welcome\\n", mode: "0600", owner: "24:24"}
  /etc/rc: {content: "#!/bin/sh\\necho other\\n", mode: "0755"}
  /usr/local/bin/tool: {source: tool.sh, mode: "0755"}
  /etc/fetched: {source: MIRROR/hello.txt}
  /var/games: {mode: "0700"}
`;
  const { box, mirror, image, build, refused } = await project(t, '');
  mirror.serve('/hello.txt', 'hello\n');
  const text = manifest.replace('MIRROR', mirror.url);
  box.write('services/web/service.yaml', text);
  box.write('services/web/tool.sh', '#!/bin/sh\necho tool\n');
  await build();
  const found = readImage(image);
  t.like(found.get('etc/motd'), { mode: 0o600, uid: 24, gid: 24, sha256: sha256('welcome\n') });
  t.like(found.get('usr/local/bin/tool'), { mode: 0o755, sha256: sha256('#!/bin/sh\necho tool\n') });
  t.like(found.get('etc/fetched'), { mode: 0o644, sha256: sha256('hello\n') });
  t.like(found.get('var/games'), { type: 'directory', mode: 0o700, uid: 7 });
  t.is(textsOf(image, ['etc/rc'])[0], '#!/bin/sh\necho other\n');
  t.true(box.read('smol.lock.yaml').includes('/hello.txt'), 'it is pinned');

  // A change of one of them does no more than it must.
  box.write('services/web/tool.sh', '#!/bin/sh\necho other\n');
  t.deepEqual(await build(), [
    'compose web-amd64',
    `fetch file:${box.path('services/web/tool.sh')}`,
    'image web-amd64',
    'layout web-amd64',
    'place /usr/local/bin/tool of web-amd64',
  ]);

  mirror.serve('/hello.txt', 'something else\n');
  t.deepEqual(await build(), []);
  box.write('services/web/service.yaml', text.replace('source: tool.sh', 'source: toool.sh'));
  t.regex(await refused(), /there is no file <project>\/services\/web\/toool\.sh/);
  box.write('services/web/service.yaml', text.replace('source: tool.sh', 'source: tool.sh, content: x'));
  t.regex(await refused(), /conflicting-keys.*content and source do not go together/);
  box.write('services/web/service.yaml', `${text}minimize: true\n`);
  t.regex(await refused(), /size and minimize do not go together/);
  t.true(statSync(image).size > 0);
});
