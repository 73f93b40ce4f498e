import type { FileSystemName } from '../formats/disk.ts';
import type { Release } from '../model/manifest.ts';
import type { Step } from '../model/step.ts';
import type { Furnishings } from '../tasks/furnish.ts';

import { makedevStep } from '../tasks/makedev.ts';
import { mtreeStep } from '../tasks/mtree.ts';

/** What a guest needs to know of the image that it will have its root on. */
export interface Root {
  /** The target's. */
  readonly name: string;
  /** The name of the partition. */
  readonly partition: string;
  readonly fs: FileSystemName;
  readonly readOnly: boolean;
}

/** What differs between operating systems in their images, as data. */
export interface Contents {
  /** The file systems that it can have its root on. */
  readonly fileSystems: readonly FileSystemName[];
  furnishings(root: Root): Furnishings;
  /** Layers that are made of the sets, over them. */
  adapt(root: Root, sets: Step): { label: string; tree: Step }[];
  /** Where its kernel is, in images that hold it. */
  readonly kernelFile: { readonly path: string; readonly mode: number };
}

export const CONTENTS: Readonly<Record<Release['guest'], Contents>> = {
  netbsd: {
    fileSystems: ['ext2', 'ffs', 'ffs1'],
    furnishings: (root) => ({
      directories: ['/sbin', '/bin', '/dev', '/etc/include', '/var/qemufwcfg'],
      files: { '/etc/fstab': `NAME=${root.partition} / ${netbsdOptions(root)} 1 1\n` },
    }),
    adapt: (root, sets) => [
      { label: "the sets' manifests", tree: mtreeStep(root.name, sets) },
      { label: "NetBSD's device script", tree: makedevStep(root.name, sets, root.fs !== 'ext2') },
    ],
    kernelFile: { path: '/netbsd', mode: 0o755 },
  },
  linux: {
    fileSystems: ['ext2'],
    furnishings: (root) => ({
      directories: ['/dev', '/etc/include', '/proc', '/run', '/sys', '/tmp', '/var/qemufwcfg'],
      files: { '/etc/fstab': `PARTLABEL=${root.partition} / ext2 ${root.readOnly ? 'ro' : 'rw'},noatime 0 1\n` },
    }),
    adapt: () => [],
    kernelFile: { path: '/boot/vmlinuz', mode: 0o644 },
  },
};

/** Type and options in fstab(5). The log of WAPBL, which FFS has, spares a check after a crash; nobody writes to what is read-only. */
function netbsdOptions({ fs, readOnly }: Root): string {
  const mode = readOnly ? 'ro' : 'rw';
  return fs === 'ext2' ? `ext2fs ${mode},noatime` : `ffs ${mode}${readOnly ? '' : ',log'},noatime`;
}
