import type { Arch } from '../model/arch.ts';

/** The description of one virtual machine: everything that its QEMU is told, and nothing that it is not. */
export interface Machine {
  readonly name: string;
  readonly arch: Arch;
  /** QEMU's machine type with its properties. */
  readonly type: string;
  readonly accelerator: Accelerator;
  readonly cpu: string;
  readonly cpus: number;
  /** MiB. */
  readonly memory: number;
  readonly kernel: string;
  readonly initrd?: string | undefined;
  readonly append: string;
  readonly disks: readonly Disk[];
  readonly network: 'user' | 'none';
  /** The command behind PROXY_ADDRESS, in a user network from which nothing else can be reached. */
  readonly proxy?: readonly string[] | undefined;
  /** Of a user network. */
  readonly forwards: readonly Forward[];
  /** A bridge of the host for one more network interface. */
  readonly bridge?: string | undefined;
  /** A directory of the host, by 9p. */
  readonly share?: string | undefined;
  /** What the guest finds in QEMU's firmware configuration, by name, each from a file. */
  readonly firmware: readonly { readonly name: string; readonly file: string }[];
  readonly console: 'serial' | 'viocon';
  /** Unix sockets, whose paths must be short (unix(7): 108 bytes), and the file that gets all of the console. */
  readonly consoleSocket: string;
  readonly qmpSocket: string;
  readonly consoleLog: string;
  /** Whether the console is QEMU's own standard input and output instead, for who keeps logs himself. */
  readonly stdio?: boolean | undefined;
  /** More lines to the guest, in order. */
  readonly lines: readonly Line[];
  /** Arguments that are passed on as they are. */
  readonly extra: readonly string[];
}

/** Where a guest of a user network finds a proxy. */
export const PROXY_ADDRESS = '10.0.2.100';

/** A line to the guest besides its console: a socket of the host, a TCP port that speaks telnet, a new pseudo-terminal. */
export type Line =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'telnet'; readonly address: string; readonly port: number }
  | { readonly kind: 'pty' };

export type Accelerator = 'kvm' | 'nvmm' | 'hvf' | 'tcg';

export interface Disk {
  readonly file: string;
  readonly format: 'raw' | 'qcow2';
  readonly serial: string;
  /** Whether others may write to it too, and so nobody locks it. */
  readonly shared?: boolean | undefined;
  /** Whether what the guest writes is gone when it ends. */
  readonly snapshot?: boolean | undefined;
}

export interface Forward {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly host: number;
  readonly guest: number;
}

/** The emulator for an architecture. One of 64 bits runs i386 too, but i386's own has the CPUs that users expect. */
export const EMULATORS: Readonly<Record<Arch, string>> = {
  amd64: 'qemu-system-x86_64',
  i386: 'qemu-system-i386',
  'evbarm-aarch64': 'qemu-system-aarch64',
};

/** The form of a forward as users write it: `[address:]host:guest[/udp]`. */
export const FORWARD = /^((\d{1,3}\.){3}\d{1,3}:)?\d{1,5}:\d{1,5}(\/(tcp|udp))?$/;

/** A forward as users write it. The schema, or FORWARD, has checked the form. */
export function parseForward(text: string): Forward {
  const [ports = '', protocol = 'tcp'] = text.split('/');
  const parts = ports.split(':');
  const [host = '', guest = ''] = parts.slice(-2);
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    address: parts.length === 3 ? parts[0]! : '127.0.0.1',
    host: Number(host),
    guest: Number(guest),
  };
}
