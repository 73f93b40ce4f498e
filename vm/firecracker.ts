import type { Machine } from './machine.ts';

/**
 * Firecracker's configuration for a machine: what `firecracker --no-api --config-file` reads, and, key by key, the bodies of
 * the requests to its API (src/firecracker/swagger/firecracker.yaml).
 */
export interface FirecrackerConfig {
  readonly 'boot-source': {
    readonly kernel_image_path: string;
    readonly boot_args: string;
    readonly initrd_path?: string;
  };
  readonly 'machine-config': { readonly vcpu_count: number; readonly mem_size_mib: number };
  readonly drives: readonly {
    readonly drive_id: string;
    readonly path_on_host: string;
    readonly is_root_device: boolean;
    readonly is_read_only: boolean;
  }[];
  readonly 'network-interfaces': readonly { readonly iface_id: string; readonly host_dev_name: string }[];
}

/** One request to the API of a Firecracker that was started with nothing but a socket. */
export interface ApiCall {
  readonly method: 'PUT';
  readonly path: string;
  readonly body: unknown;
}

/** The configuration of a machine, and what of it Firecracker has no means for, in words. */
export function firecrackerOf(machine: Machine): { config: FirecrackerConfig; missing: readonly string[] } {
  const { kernel, append, initrd, cpus, memory, disks, forwards, bridge, share, firmware, lines, extra } = machine;
  const missing = [
    ...disks
      .filter(({ format }) => format !== 'raw')
      .map(({ file }) => `${file} is qcow2, and disks must be raw: give --direct`),
    ...(forwards.length > 0
      ? ['it has no network of its own that could forward ports: give --no-network, or a tap by --bridge']
      : []),
    ...(share === undefined ? [] : ['it has no 9p']),
    ...(firmware.length === 0 ? [] : ['it has no fw_cfg, by which variables and files are told']),
    ...(lines.length === 0 ? [] : ['it has no lines besides the serial console']),
    ...(extra.length === 0 ? [] : ["more arguments are QEMU's"]),
    ...(machine.console === 'serial' ? [] : ['it has no virtio console']),
  ];
  const config: FirecrackerConfig = {
    'boot-source': {
      kernel_image_path: kernel,
      boot_args: append,
      ...(initrd !== undefined && { initrd_path: initrd }),
    },
    'machine-config': { vcpu_count: cpus, mem_size_mib: memory },
    drives: disks.map(({ file, serial }) => ({
      drive_id: serial.replaceAll(/\W/g, '_'),
      path_on_host: file,
      // The kernel's command line names the root: the device alone would mean the whole disk.
      is_root_device: false,
      is_read_only: false,
    })),
    'network-interfaces': bridge === undefined ? [] : [{ iface_id: 'net1', host_dev_name: bridge }],
  };
  return { config, missing };
}

/** The same as requests, in the order in which they are to be made. */
export function apiCallsOf(config: FirecrackerConfig): ApiCall[] {
  const put = (path: string, body: unknown): ApiCall => ({ method: 'PUT', path, body });
  return [
    put('/boot-source', config['boot-source']),
    put('/machine-config', config['machine-config']),
    ...config.drives.map((drive) => put(`/drives/${drive.drive_id}`, drive)),
    ...config['network-interfaces'].map((each) => put(`/network-interfaces/${each.iface_id}`, each)),
    put('/actions', { action_type: 'InstanceStart' }),
  ];
}
