import test from 'ava';
import { machineConfig, parseMachineConfig } from '../../manifest/machine.ts';

const GIVEN = {
  service: 'web',
  arch: 'amd64',
  guest: 'netbsd',
  partition: 'webroot',
  kernel: { name: 'smol', build: { source: 'https://x.example/k', machine: 'microvm,rtc=on,acpi=off', depends: 'x' } },
  run: { memory: '128M', ports: ['8080:80'], files: { key: '/etc/shadow' }, share: '/', extra: ['-snapshot'] },
} as const;

test('what a registry keeps of a machine is what is the same on every host', (t) => {
  const config = machineConfig({ ...GIVEN, run: { ...GIVEN.run, ports: [...GIVEN.run.ports], extra: ['x'] } });
  t.deepEqual(config.run, { memory: '128M', ports: ['8080:80'] });
  t.deepEqual(parseMachineConfig(JSON.stringify(config)), JSON.parse(JSON.stringify(config)));
});

test('an image from elsewhere reaches no file, no address and no argument of this host', (t) => {
  const config = {
    version: 1,
    ...GIVEN,
    run: { ...GIVEN.run, ports: ['0.0.0.0:8080:80', '53:53/udp'], drives: ['/dev/sda'] },
  };
  t.deepEqual(parseMachineConfig(JSON.stringify(config))?.run, { memory: '128M', ports: ['8080:80', '53:53/udp'] });
  const refused = [
    { ...config, kernel: { name: 'k', build: { source: 'file:k', machine: 'microvm,kernel=/etc/passwd' } } },
    { ...config, kernel: { name: 'k', build: { source: 'file:k', machine: 'microvm', cpu: 'max,x=/dev/y' } } },
    { ...config, arch: 'vax' },
    { ...config, service: '../../etc' },
    { ...config, run: { memory: 128 } },
    { ...config, version: 2 },
    {},
  ];
  for (const each of refused) t.is(parseMachineConfig(JSON.stringify(each)), undefined);
  t.is(parseMachineConfig('{'), undefined);
});
