import type { Arch } from '../model/arch.ts';
import type { Step } from '../model/step.ts';
import type { Furnishings } from '../tasks/furnish.ts';
import type { FileSystemName } from '../tasks/image.ts';
import { makedevStep } from '../tasks/makedev.ts';
import { mtreeStep } from '../tasks/mtree.ts';
import type { Target } from './target.ts';

/** What differs between operating systems, as data: what every image of one holds, and how its boot reads on the console. */
export interface Guest {
  /** The file systems that it can have its root on. */
  readonly fileSystems: readonly FileSystemName[];
  furnishings(target: Target): Furnishings;
  /** Layers that are made of the sets, over them. */
  adapt(target: Target, sets: Step): { label: string; tree: Step }[];
  /** The console device in the words of the kernel's command line. */
  console(arch: Arch, viocon: boolean): string;
  root(partition: string): string;
  /** What stands before the first byte that user land writes. */
  readonly userland: RegExp;
  readonly panic: RegExp;
}

export const GUESTS: Readonly<Record<Target['guest'], Guest>> = {
  netbsd: {
    fileSystems: ['ext2', 'ffs', 'ffs1'],
    furnishings: (target) => ({
      directories: ['/sbin', '/bin', '/dev', '/etc/include', '/var/qemufwcfg'],
      files: { '/etc/fstab': `NAME=${target.partition} / ${netbsdOptions(target)} 1 1\n` },
    }),
    adapt: (target, sets) => [
      { label: "the sets' manifests", tree: mtreeStep(target.name, sets) },
      { label: "NetBSD's device script", tree: makedevStep(target.name, sets) },
    ],
    console: (_arch, viocon) => `console=${viocon ? 'viocon' : 'com'}`,
    root: (partition) => `root=NAME=${partition}`,
    userland: /root file system type: \S+\r?\n(?:kern\.module\.path=.*\r?\n)?/,
    panic: /^.*(?:panic: .*|cannot mount root, error.*|exec \S+: error \d+|init died.*)$/m,
  },
  linux: {
    fileSystems: ['ext2'],
    furnishings: (target) => ({
      directories: ['/dev', '/etc/include', '/proc', '/run', '/sys', '/tmp'],
      files: { '/etc/fstab': `PARTLABEL=${target.partition} / ext2 ${target.readOnly ? 'ro' : 'rw'},noatime 0 1\n` },
    }),
    adapt: () => [],
    console: (arch) => `console=${arch === 'evbarm-aarch64' ? 'ttyAMA0' : 'ttyS0'}`,
    root: (partition) => `smol.root=${partition}`,
    userland: /(?=smol: init)/,
    panic: /^.*(?:Kernel panic - not syncing.*|smol: no root .*)$/m,
  },
};

/** Type and options in fstab(5). The log of WAPBL, which FFS has, spares a check after a crash; nobody writes to what is read-only. */
function netbsdOptions({ fs, readOnly }: Target): string {
  const mode = readOnly ? 'ro' : 'rw';
  return fs === 'ext2' ? `ext2fs ${mode},noatime` : `ffs ${mode}${readOnly ? '' : ',log'},noatime`;
}
