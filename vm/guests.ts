import type { Arch } from '../model/arch.ts';
import type { Release } from '../model/manifest.ts';

/** What differs between operating systems as they boot, as data: the words of their kernels, and what they say on the console. */
export interface Guest {
  /** The console device in the words of the kernel's command line. */
  console(arch: Arch, viocon: boolean): string;
  root(partition: string): string;
  /** What stands before the first byte that user land writes. */
  readonly userland: RegExp;
  readonly panic: RegExp;
  /** What makes the kernel tell on its console what it does when. */
  readonly verbose: string;
}

export const GUESTS: Readonly<Record<Release['guest'], Guest>> = {
  netbsd: {
    console: (_arch, viocon) => `console=${viocon ? 'viocon' : 'com'}`,
    root: (partition) => `root=NAME=${partition}`,
    userland: /root file system type: \S+\r?\n(?:kern\.module\.path=.*\r?\n)?/,
    panic: /^.*(?:panic: .*|cannot mount root, error.*|exec \S+: error \d+|init died.*)$/m,
    verbose: '-v',
  },
  linux: {
    console: (arch) => `console=${arch === 'evbarm-aarch64' ? 'ttyAMA0' : 'ttyS0'}`,
    root: (partition) => `smol.root=${partition}`,
    userland: /(?=smol: init)/,
    panic: /^.*(?:Kernel panic - not syncing.*|smol: no root .*)$/m,
    verbose: 'loglevel=7 printk.time=1',
  },
};
