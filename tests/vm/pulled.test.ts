import test from 'ava';
import { freePort } from '../../host/ports.ts';
import { linuxProject } from '../rig/debian.ts';
import { Registry } from '../rig/registry.ts';
import { exits, Sandbox } from '../rig/sandbox.ts';

test('an image in a registry runs by its name on a machine with no project', async (t) => {
  const registry = await Registry.start(t);
  const box = linuxProject(t);
  const name = `${registry.host}/team/hello:1`;
  const pushed = await box.smol(['push', 'hello', name]);
  exits(t, pushed, 0);

  const other = new Sandbox(t, 'elsewhere');
  const env = { XDG_STATE_HOME: other.path('state') };
  const port = await freePort('tcp');
  t.teardown(() => other.smol(['stop', '--all'], { env }));
  const run = await other.smol(['run', name, '--detach', '--port', `${port}:80`], { env });
  exits(t, run, 0);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  t.is(answer.status, 200);
  const [vm] = JSON.parse((await other.smol(['ps', '--json'], { env })).stdout);
  t.is(vm.name, 'hello');
  exits(t, await other.smol(['stop', 'hello'], { env }), 0);

  // Where the registry is gone, what was pulled is run.
  const gone = name.replace(registry.host, '127.0.0.1:1');
  exits(t, await other.smol(['run', gone, '--print'], { env }), 3);
  const printed = await other.smol(['run', name, '--print'], { env });
  t.regex(printed.stdout, /-kernel \S+pulled\/[0-9a-f]{64}\/kernel /, printed.stderr);
});
