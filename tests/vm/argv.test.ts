import test from 'ava';
import { argvOf } from '../../vm/argv.ts';
import { apiCallsOf, firecrackerOf } from '../../vm/firecracker.ts';
import { type Machine, parseForward } from '../../vm/machine.ts';

const MACHINE: Machine = {
  name: 'web',
  arch: 'amd64',
  type: 'microvm,x-option-roms=off,rtc=on,acpi=off,pic=off',
  accelerator: 'kvm',
  cpu: 'host',
  cpus: 2,
  memory: 128,
  kernel: '/cache/netbsd',
  append: 'console=viocon root=NAME=webroot -z',
  disks: [{ file: '/p/disk.qcow2', format: 'qcow2', serial: 'webroot' }],
  forwards: [parseForward('8180:80'), parseForward('0.0.0.0:5353:53/udp')],
  firmware: [],
  network: 'user',
  lines: [],
  extra: [],
  console: 'viocon',
  consoleSocket: '/run/c',
  qmpSocket: '/run/q',
  consoleLog: '/p/console.log',
};

test('a NetBSD guest on amd64 with a virtio console', (t) => {
  t.is(
    argvOf(MACHINE).join(' '),
    [
      'qemu-system-x86_64 -name web -machine microvm,x-option-roms=off,rtc=on,acpi=off,pic=off,accel=kvm -cpu host -smp 2 -m 128M',
      '-nodefaults -no-user-config -display none -no-reboot -kernel /cache/netbsd -append console=viocon root=NAME=webroot -z',
      '-global virtio-mmio.force-legacy=false -chardev socket,id=console,path=/run/c,server=on,wait=on,logfile=/p/console.log',
      '-device virtio-serial-device -device virtconsole,chardev=console -qmp unix:/run/q,server=on,wait=off',
      '-drive if=none,id=disk0,file=/p/disk.qcow2,format=qcow2 -device virtio-blk-device,drive=disk0,serial=webroot,werror=report',
      '-netdev user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:8180-:80,hostfwd=udp:0.0.0.0:5353-:53 -device virtio-net-device,netdev=net0',
    ].join(' '),
  );
});

test('a proxy is all that a guest can reach', (t) => {
  const words = argvOf({ ...MACHINE, forwards: [], proxy: ['/usr/bin/node', '/run/a,b/forward.cjs'] });
  t.is(
    words[words.indexOf('-netdev') + 1],
    'user,id=net0,ipv6=off,restrict=on,guestfwd=tcp:10.0.2.100:3128-cmd:/usr/bin/node /run/a,,b/forward.cjs',
  );
});

test('i386 and a serial console, aarch64 and its random numbers, an initial RAM disk and a share', (t) => {
  const i386 = argvOf({ ...MACHINE, arch: 'i386', console: 'serial', initrd: '/cache/initrd', share: '/home/me/a,b' });
  t.is(i386[0], 'qemu-system-i386');
  t.true(i386.join(' ').includes('-serial chardev:console'));
  t.true(i386.join(' ').includes('-initrd /cache/initrd'));
  // A comma in a name stays one word of one option.
  t.true(i386.includes('local,id=share,path=/home/me/a,,b,security_model=mapped-xattr'));
  t.true(i386.includes('virtio-9p-device,fsdev=share,mount_tag=shared'));
  const told = argvOf({ ...MACHINE, firmware: [{ name: 'opt/org.smolbsd.file.key', file: '/home/a,b/key' }] });
  t.true(told.includes('name=opt/org.smolbsd.file.key,file=/home/a,,b/key'));
  const arm = argvOf({
    ...MACHINE,
    arch: 'evbarm-aarch64',
    type: 'virt,gic-version=3',
    accelerator: 'tcg',
    cpu: 'cortex-a57',
  });
  t.is(arm[0], 'qemu-system-aarch64');
  t.true(arm.includes('virt,gic-version=3,accel=tcg'));
  t.true(arm.includes('virtio-rng-device'));
});

test('forwards as users write them', (t) => {
  t.deepEqual(parseForward('8080:80'), { protocol: 'tcp', address: '127.0.0.1', host: 8080, guest: 80 });
  t.deepEqual(parseForward('10.0.0.1:53:53/udp'), { protocol: 'udp', address: '10.0.0.1', host: 53, guest: 53 });
  t.deepEqual(parseForward('1:2/tcp'), { protocol: 'tcp', address: '127.0.0.1', host: 1, guest: 2 });
});

test('more disks, lines and interfaces, and none', (t) => {
  const more = argvOf({
    ...MACHINE,
    disks: [
      { file: '/p/base.img', format: 'raw', serial: 'webroot', shared: true },
      { file: '/p/data.qcow2', format: 'qcow2', serial: 'drive1' },
    ],
    lines: [{ kind: 'socket', path: '/run/1' }, { kind: 'telnet', address: '127.0.0.1', port: 5555 }, { kind: 'pty' }],
    network: 'none',
    bridge: 'br0',
    extra: ['-rtc', 'base=localtime'],
  }).join(' ');
  const has = (words: string) => t.true(more.includes(words), `${words} in ${more}`);
  has(
    '-drive if=none,id=disk0,file=/p/base.img,format=raw -device virtio-blk-device,drive=disk0,serial=webroot,werror=report,share-rw=on',
  );
  has(
    '-drive if=none,id=disk1,file=/p/data.qcow2,format=qcow2 -device virtio-blk-device,drive=disk1,serial=drive1,werror=report ',
  );
  has('-chardev socket,id=line0,path=/run/1,server=on,wait=off');
  // The serial line is free where the console is virtio's.
  has('-chardev socket,id=line1,host=127.0.0.1,port=5555,server=on,wait=off,telnet=on -chardev pty,id=line2');
  has('-serial chardev:line1 -device virtio-serial-device -device virtconsole,chardev=console');
  has('-device virtconsole,chardev=line0 -device virtconsole,chardev=line2');
  has('-netdev bridge,id=net1,br=br0 -device virtio-net-device,netdev=net1');
  t.false(more.includes('user,id=net0'));
  t.true(more.endsWith(' -rtc base=localtime'));
  const telnet = { kind: 'telnet', address: '127.0.0.1', port: 1 } as const;
  const serial = argvOf({ ...MACHINE, console: 'serial', lines: [telnet] }).join(' ');
  t.true(serial.includes('-serial chardev:console -device virtio-serial-device -device virtconsole,chardev=line0'));
});

test("Firecracker's configuration, the requests for it, and what it has no means for", (t) => {
  const machine: Machine = {
    ...MACHINE,
    console: 'serial',
    append: 'console=com root=NAME=webroot',
    disks: [{ file: '/p/web.img', format: 'raw', serial: 'webroot' }],
    forwards: [],
    bridge: 'tap0',
  };
  const { config, missing } = firecrackerOf(machine);
  t.deepEqual(missing, []);
  t.deepEqual(config, {
    'boot-source': { kernel_image_path: '/cache/netbsd', boot_args: 'console=com root=NAME=webroot' },
    'machine-config': { vcpu_count: 2, mem_size_mib: 128 },
    drives: [{ drive_id: 'webroot', path_on_host: '/p/web.img', is_root_device: false, is_read_only: false }],
    'network-interfaces': [{ iface_id: 'net1', host_dev_name: 'tap0' }],
  });
  t.deepEqual(
    apiCallsOf(config).map(({ path }) => path),
    ['/boot-source', '/machine-config', '/drives/webroot', '/network-interfaces/net1', '/actions'],
  );
  t.is(firecrackerOf(MACHINE).missing.length, 3, 'qcow2, forwards, a virtio console');
});
