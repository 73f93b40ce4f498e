import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { asProblem } from '../host/files.ts';
import { badServiceName, fileExists } from '../model/problems.ts';
import type { Caller } from './session.ts';

/** The files of a new project: a configuration, and a service that answers HTTP. */
function files(service: string): Record<string, string> {
  return {
    'smol.config.yaml': `# The root of a smol project. See \`smol --help\`.\nrelease: netbsd-11\n`,
    '.gitignore': '/.smol/\n/images/\n',
    [`services/${service}/service.yaml`]: `description: A page of ours, served by busybox on a small Linux guest
release: debian
sets: [busybox-static]
size: 16M
links:
  /sbin/init: /bin/busybox
  /bin/sh: busybox
run:
  memory: 128M
  ports: ["8080:80"]
  ready:
    http: /
`,
    [`services/${service}/etc/rc`]: `#!/bin/sh
# Runs in the guest at every start.
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/bin:/sbin
. /etc/include/linuxrc
echo "${service} is up"
`,
    [`services/${service}/etc/inittab`]: `::sysinit:/bin/busybox sh /etc/rc
::respawn:/bin/busybox httpd -f -h /www
::ctrlaltdel:/bin/busybox poweroff
`,
    [`services/${service}/etc/acpi/PWRF/00000080`]: `#!/bin/sh
# What the power button does.
/bin/busybox poweroff
`,
    [`services/${service}/root/www/index.html`]: `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${service}</title>
<h1>${service}</h1>
<p>Change this page in services/${service}/root/www, then run <code>smol run ${service}</code> again.</p>
`,
  };
}

/** Starts a project in a folder. Overwrites nothing: throws `exists` before anything is written. */
export async function init({ folder }: Pick<Caller, 'folder'>, service: string): Promise<string[]> {
  if (!/^[a-z][a-z0-9_-]*$/.test(service)) throw badServiceName(service);
  const wanted = Object.entries(files(service)).filter(
    ([name]) => name !== '.gitignore' || !existsSync(path.join(folder, name)),
  );
  for (const [name] of wanted) {
    if (existsSync(path.join(folder, name))) throw fileExists(name);
  }
  try {
    for (const [name, text] of wanted) {
      const file = path.join(folder, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text, { flag: 'wx' });
      if (text.startsWith('#!')) chmodSync(file, 0o755);
    }
  } catch (error) {
    throw asProblem(error, folder);
  }
  return wanted.map(([name]) => name);
}
