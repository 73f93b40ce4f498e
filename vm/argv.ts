import { PROXY_PORT } from '../host/proxy.ts';
import { EMULATORS, type Line, type Machine, PROXY_ADDRESS } from './machine.ts';

/** The command line of QEMU for a machine. A pure function: qemu-system(1) and docs/system/i386/microvm.rst are its sources. */
export function argvOf(machine: Machine): string[] {
  return [
    EMULATORS[machine.arch],
    ...['-name', machine.name],
    ...['-machine', `${machine.type},accel=${machine.accelerator}`],
    ...['-cpu', machine.cpu],
    ...['-smp', String(machine.cpus)],
    ...['-m', `${machine.memory}M`],
    // Nothing but what is described here, and a reboot of the guest ends the VM.
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', machine.kernel],
    ...(machine.initrd === undefined ? [] : ['-initrd', machine.initrd]),
    ...['-append', machine.append],
    // The modern virtio, which is what NetBSD's driver for virtio-mmio speaks.
    ...['-global', 'virtio-mmio.force-legacy=false'],
    ...consoleOf(machine),
    ...['-qmp', `unix:${escaped(machine.qmpSocket)},server=on,wait=off`],
    // Where the host's disk is full the guest is told: QEMU would else stop it, and nobody would know why it hangs.
    ...machine.disks.flatMap(({ file, format, serial, shared, snapshot }, n) => [
      ...['-drive', `if=none,id=disk${n},file=${escaped(file)},format=${format}${snapshot ? ',snapshot=on' : ''}`],
      ...[
        '-device',
        `virtio-blk-device,drive=disk${n},serial=${escaped(serial)},werror=report${shared ? ',share-rw=on' : ''}`,
      ],
    ]),
    ...networkOf(machine),
    ...(machine.share === undefined
      ? []
      : [
          ...['-fsdev', `local,id=share,path=${escaped(machine.share)},security_model=mapped-xattr`],
          ...['-device', 'virtio-9p-device,fsdev=share,mount_tag=shared'],
        ]),
    ...machine.firmware.flatMap(({ name, file }) => ['-fw_cfg', `name=${escaped(name)},file=${escaped(file)}`]),
    ...(machine.arch === 'evbarm-aarch64' ? ['-device', 'virtio-rng-device'] : []),
    ...machine.extra,
  ];
}

/** QEMU waits for whoever reads the console, so that not even its first byte is missed; the log gets it all too. */
function consoleOf({ console, consoleSocket, consoleLog, stdio, lines }: Machine): string[] {
  const socket = `socket,id=console,path=${escaped(consoleSocket)},server=on,wait=on,logfile=${escaped(consoleLog)}`;
  const channel = stdio ? 'stdio,id=console,signal=off' : socket;
  const isVirtio = console === 'viocon';
  // A guest whose console is virtio's has its serial line free for whoever calls by telnet.
  const serial = isVirtio ? lines.findIndex(({ kind }) => kind === 'telnet') : -1;
  const virtio = lines.map((_, n) => n).filter((n) => n !== serial);
  return [
    ...['-chardev', channel],
    ...lines.flatMap((line, n) => ['-chardev', backendOf(line, `line${n}`)]),
    ...(isVirtio ? [] : ['-serial', 'chardev:console']),
    ...(serial < 0 ? [] : ['-serial', `chardev:line${serial}`]),
    ...(isVirtio || virtio.length > 0 ? ['-device', 'virtio-serial-device'] : []),
    ...(isVirtio ? ['-device', 'virtconsole,chardev=console'] : []),
    ...virtio.flatMap((n) => ['-device', `virtconsole,chardev=line${n}`]),
  ];
}

function backendOf(line: Line, id: string): string {
  switch (line.kind) {
    case 'socket':
      return `socket,id=${id},path=${escaped(line.path)},server=on,wait=off`;
    case 'telnet':
      return `socket,id=${id},host=${line.address},port=${line.port},server=on,wait=off,telnet=on`;
    case 'pty':
      return `pty,id=${id}`;
    default:
      return line satisfies never;
  }
}

function networkOf({ network, proxy, forwards, bridge }: Machine): string[] {
  const rules = [
    ...forwards.map(({ protocol, address, host, guest }) => `,hostfwd=${protocol}:${address}:${host}-:${guest}`),
    ...(proxy === undefined
      ? []
      : [`,restrict=on,guestfwd=tcp:${PROXY_ADDRESS}:${PROXY_PORT}-cmd:${escaped(proxy.join(' '))}`]),
  ];
  const interfaces = [
    ...(network === 'none' ? [] : [`user,id=net0,ipv6=off${rules.join('')}`]),
    ...(bridge === undefined ? [] : [`bridge,id=net1,br=${escaped(bridge)}`]),
  ];
  return interfaces.flatMap((backend) => {
    const id = /id=(\w+)/.exec(backend)![1];
    return ['-netdev', backend, '-device', `virtio-net-device,netdev=${id}`];
  });
}

/** In QEMU's options a comma separates, and two are one that is meant. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}
