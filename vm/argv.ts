import { EMULATORS, type Machine } from './machine.ts';

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
    ...machine.disks.flatMap((disk, n) => [
      '-drive',
      `if=none,id=disk${n},file=${escaped(disk.file)},format=${disk.format}`,
      '-device',
      `virtio-blk-device,drive=disk${n},serial=${escaped(disk.serial)}`,
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
  ];
}

/** QEMU waits for whoever reads the console, so that not even its first byte is missed; the log gets it all too. */
function consoleOf({ console, consoleSocket, consoleLog }: Machine): string[] {
  const channel = `socket,id=console,path=${escaped(consoleSocket)},server=on,wait=on,logfile=${escaped(consoleLog)}`;
  const device =
    console === 'viocon'
      ? ['-device', 'virtio-serial-device', '-device', 'virtconsole,chardev=console']
      : ['-serial', 'chardev:console'];
  return ['-chardev', channel, ...device];
}

function networkOf({ forwards }: Machine): string[] {
  const rules = forwards.map(
    ({ protocol, address, host, guest }) => `,hostfwd=${protocol}:${address}:${host}-:${guest}`,
  );
  return ['-netdev', `user,id=net0,ipv6=off${rules.join('')}`, '-device', 'virtio-net-device,netdev=net0'];
}

/** In QEMU's options a comma separates, and two are one that is meant. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}
