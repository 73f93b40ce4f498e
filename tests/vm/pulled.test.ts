import test from 'ava';
import { freePort } from '../../host/ports.ts';
import { linuxProject } from '../rig/debian.ts';
import { Registry } from '../rig/registry.ts';
import { Sandbox } from '../rig/sandbox.ts';

test('an image in a registry runs by its name on a machine with no project', async (t) => {
  const registry = await Registry.start(t);
  const box = linuxProject(t);
  const name = `${registry.host}/team/hello:1`;
  const pushed = await box.smol(['push', 'hello', name]);
  t.is(pushed.code, 0, pushed.stderr);

  const other = new Sandbox(t, 'elsewhere');
  const env = { XDG_STATE_HOME: other.path('state') };
  const port = await freePort('tcp');
  t.teardown(() => other.smol(['stop', '--all'], { env }));
  const run = await other.smol(['run', name, '--detach', '--port', `${port}:80`], { env });
  t.is(run.code, 0, run.stdout + run.stderr);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  t.is(answer.status, 200);
  const [vm] = JSON.parse((await other.smol(['ps', '--json'], { env })).stdout);
  t.is(vm.name, 'hello');
  t.is((await other.smol(['stop', 'hello'], { env })).code, 0);

  // Where the registry is gone, what was pulled is run.
  const gone = name.replace(registry.host, '127.0.0.1:1');
  t.is((await other.smol(['run', gone, '--print'], { env })).code, 3);
  const printed = await other.smol(['run', name, '--print'], { env });
  t.regex(printed.stdout, /-kernel \S+pulled\/[0-9a-f]{64}\/kernel /, printed.stderr);
});
