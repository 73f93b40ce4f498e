// Made from schema/*.schema.json by `npm run generate`. Do not edit.

/**
 * smol.config.yaml: marks the root of a project and holds its defaults.
 */
export interface Config {
  /**
   * The release that services are built from when they name none: a file in sets/.
   */
  release?: string;
  /**
   * The architecture to build for when --arch is not given. By default the host's.
   */
  arch?: string;
  /**
   * Where to fetch from instead: a prefix of a URL, and the prefix (http:, https: or file:) to put in its place. The lock file keeps the original URL. The longest prefix that matches wins.
   */
  mirrors?: {
    [k: string]: string;
  };
  /**
   * How many steps of a kind run at once.
   */
  pools?: {
    /**
     * Downloads.
     */
    net?: number;
    /**
     * Decompression. By default the number of processors.
     */
    cpu?: number;
    /**
     * Writing of images.
     */
    disk?: number;
    /**
     * Steps that boot a VM.
     */
    vm?: number;
  };
  /**
   * The cache, which all projects of a user share.
   */
  cache?: {
    /**
     * How large it may grow, such as 10G. What was used longest ago goes first, never what images in place were made of.
     */
    limit?: string;
    /**
     * A cache that machines share, by Bazel's HTTP protocol: bazel-remote, nginx with dav, and others. Who asks is told by SMOL_CACHE_TOKEN (bearer) or SMOL_CACHE_AUTH (user:password) in the environment.
     */
    remote?: {
      /**
       * Where it is, with the prefix of an instance, if it has one.
       */
      url: string;
      /**
       * Whether what is made here is given to it too: what trunk's CI does. --cache says otherwise for one build.
       */
      mode?: "read" | "readwrite";
      /**
       * The public keys (`smol cache key`) whose results are taken, or `anyone` where only friends can write to it. What nobody of these has signed is made here.
       */
      trust: [string, ...string[]] | "anyone";
      /**
       * What is made here is kept under this name, and found by who asks for it: one for each level of trust, such as trunk.
       */
      namespace?: string;
      /**
       * Other namespaces to take results from.
       */
      alsoRead?: string[];
      /**
       * Seconds until it must have begun to answer. One that fails three times in a row is not asked again.
       */
      timeout?: number;
      /**
       * Files with certificates as PEM, from the root of the project.
       */
      tls?: {
        /**
         * An authority to trust beside the usual ones.
         */
        ca?: string;
        /**
         * Who we are, to a server that asks.
         */
        cert?: string;
        /**
         * The private key of that certificate.
         */
        key?: string;
      };
    };
  };
  /**
   * An engine that runs steps elsewhere: Slurm, Kubernetes, Nomad and others. Its hosts must see the cache: the same directory, or the remote one, which they then write to.
   */
  executor?: {
    /**
     * The words of its own command that runs one and waits, such as [srun, '--cpus-per-task={cpus}', '{command}']. {command} becomes the words of what is to be run; {name}, {kind}, {pool}, {key}, {cpus} and {memory} (MiB) what the step is and needs.
     *
     * @minItems 2
     */
    command: [string, string, ...string[]];
    /**
     * The kinds of steps that it runs; all others take less time than to ask it.
     */
    kinds?: ("unpack" | "package" | "script" | "builder" | "initrd" | "compose" | "image")[];
    /**
     * How many steps it is given at once.
     */
    slots?: number;
    /**
     * How often a step is given to it again that was lost: not one that failed.
     */
    retries?: number;
    /**
     * The words that start smol there. By default as it was started here.
     *
     * @minItems 1
     */
    smol?: [string, ...string[]];
  };
  /**
   * Where smol push and smol pull find images that are named without a registry: host[:port]/path.
   */
  registry?: string;
  /**
   * The file system of images, if a service does not say. By default the host's own: ffs on NetBSD, else ext2.
   */
  fs?: "ext2" | "ffs" | "ffs1";
  /**
   * The newest time that any file in an image may have, as YYYY-MM-DD or an RFC 3339 time. Files that come from no archive get it as theirs. By default the newest time in the sets.
   */
  sourceDate?: string;
}

/**
 * kernels/<name>.yaml: where a kernel comes from and what it needs of the virtual machine.
 */
export interface Kernel {
  description: string;
  /**
   * The operating system that it belongs to.
   */
  guest: "netbsd" | "linux";
  archs: {
    [k: string]: Build;
  };
}
export interface Build {
  /**
   * A URL, file:<path> or apt:<package>:<Debian arch>.
   */
  source: string;
  /**
   * A file of checksums beside the source.
   */
  checksums?: string;
  /**
   * Take the dependency of the package whose name matches this pattern instead: a metapackage names the newest kernel.
   */
  depends?: string;
  /**
   * The file of the package that is the kernel; may be a pattern.
   */
  file?: string;
  /**
   * An initial RAM disk to make for it.
   */
  initrd?: {
    /**
     * The script to run first, beside this file.
     */
    init: string;
    /**
     * Where busybox comes from.
     */
    busybox: string;
    /**
     * Kernel modules to load, with all that they depend on.
     */
    modules: string[];
  };
  /**
   * QEMU's -machine, without the accelerator.
   */
  machine: string;
  /**
   * QEMU's -cpu under TCG. By default max.
   */
  cpu?: string;
  /**
   * The kernel's command line before what the service adds.
   */
  append?: string;
  /**
   * Added under TCG only. {tscKhz} is the host's time stamp counter rate.
   */
  appendTcg?: string;
  /**
   * What it can do: viocon (a virtio console from the start), 9p (shared folders), power-button (powers off when QEMU presses it).
   */
  features?: ("viocon" | "9p" | "power-button")[];
}

/**
 * smol.lock.yaml: the SHA-256 and size of everything that was ever downloaded. Written by smol; commit it.
 */
export interface Lock {
  version: 1;
  /**
   * What scripts at build time took from the network: the URLs by the names of their steps.
   */
  recorded?: {
    [k: string]: string[];
  };
  pins: {
    [k: string]: {
      sha256: string;
      size: number;
      /**
       * For a name with *, the one that it stood for.
       */
      file?: string;
      /**
       * For apt: sources, the package and version, as name=version.
       */
      package?: string;
    };
  };
}

/**
 * sets/<release>.yaml: where the sets of a release come from.
 */
export interface Release {
  description: string;
  /**
   * The operating system that its images hold.
   */
  guest: "netbsd" | "linux";
  /**
   * Where a set is: a URL, file:<path> or apt:<package>:<Debian arch>. {set} is the name of the set, {arch} the architecture; other words in braces are the architecture's vars.
   */
  source: string;
  /**
   * A file of checksums beside the sets, in the form of BSD's digest programs.
   */
  checksums?: string;
  /**
   * The directory of its binary packages, which has a pkg_summary.gz: a URL or file:<path>. Words in braces as in source.
   */
  packages?: string;
  /**
   * The sets that it has.
   *
   * @minItems 1
   */
  sets: [string, ...string[]];
  /**
   * The architectures that it has.
   */
  archs: {
    [k: string]: {
      /**
       * The kernel for this architecture: a file in kernels/.
       */
      kernel: string;
      /**
       * Words for the source.
       */
      vars?: {
        [k: string]: string;
      };
    };
  };
}

/**
 * The sets that the image is made of, in order; a later one replaces files of an earlier one. Parts of one after a colon: comp:usr/bin/strip,usr/lib/*.so (* within a name, ** across directories; a directory brings all that is below it). With from: none are needed.
 *
 * @minItems 1
 */
export type Sets = [string, ...string[]];
/**
 * The kernel that boots it: a file in kernels/. By default the release's own for the architecture.
 */
export type KernelChoice =
  | string
  | {
      /**
       * The same.
       */
      name?: string;
      /**
       * Put the kernel into the image too: NetBSD's as /netbsd.
       */
      inImage?: boolean;
    };
/**
 * The size of the image: a number with K, M or G, such as 20M; or auto: as small as its contents allow, with auto+64M or auto+10% to leave so much free. By default 512M.
 */
export type Size = string;
/**
 * Make the image as small as its contents and a tenth more: the same as size: auto+10%.
 */
export type Minimize = boolean;
/**
 * A hand-made directory, beside service.yaml or from the project's root with a leading /, laid over the sets. Permission bits are kept, owners become root:wheel.
 */
export type Rootdir =
  | string
  | {
      /**
       * The same.
       */
      path: string;
      /**
       * A specification as mtree(8) has it, beside service.yaml or from the project's root with a leading /: owners, modes, and the directories, links, devices and pipes that it names. User and group names are those of the sets.
       */
      mtree?: string;
    };
/**
 * Mount the root file system read-only.
 */
export type ReadOnly = boolean;
/**
 * The file system of the image. ffs is NetBSD's own (version 2, with a log), ffs1 its version 1. By default the project's.
 */
export type Fs = "ext2" | "ffs" | "ffs1";
export type Place = string;
/**
 * Directories that must exist; those that no set has are made, 0755 root:wheel.
 */
export type Directories = Place[];
/**
 * Binary packages of pkgsrc to install, with all that they depend on: names, or patterns as pkg_info(1) has them, such as php>=8.2.
 *
 * @minItems 1
 */
export type Packages = [string, ...string[]];
/**
 * Memory of the VM: a number with M or G, such as 128M.
 */
export type Memory = string;

/**
 * services/<name>/service.yaml: what goes into one image, and how it runs.
 */
export interface Service {
  /**
   * One line: what the image is for.
   */
  description: string;
  /**
   * The architectures that it can be built for. By default all that its release has.
   *
   * @minItems 1
   */
  archs?: [string, ...string[]];
  /**
   * Where its sets come from: a file in sets/.
   */
  release?: string;
  /**
   * Another service, whose whole tree is what this one begins with. Its release and kernel are this one's too, unless said.
   */
  from?: string;
  disk?: Disk;
  sets?: Sets;
  kernel?: KernelChoice;
  size?: Size;
  minimize?: Minimize;
  rootdir?: Rootdir;
  finalizer?: Finalizer;
  readOnly?: ReadOnly;
  fs?: Fs;
  directories?: Directories;
  links?: Links;
  files?: Files;
  packages?: Packages;
  postinst?: Postinst;
  run?: Run;
  test?: Test;
  /**
   * What is different for one architecture. Lists and values replace those above; links, files and run are merged key by key.
   */
  overrides?: {
    [k: string]: Override;
  };
}
/**
 * A disk image that somebody published, taken as it is: in place of all that an image is made of.
 */
export interface Disk {
  /**
   * Where it comes from: a URL, which gets pinned, or a file: beside service.yaml; as it is, or with .gz or .xz. With * in its last part: the newest name that the directory lists.
   */
  source: string;
  /**
   * The publisher's list of checksums, beside it.
   */
  checksums?: string;
  /**
   * The name of the partition with the root.
   */
  root: string;
}
/**
 * A script from elsewhere that runs last, confined like those in postinst/. It is pinned.
 */
export interface Finalizer {
  url: string;
  sha256?: string;
}
/**
 * Symbolic links: the path of the link, and what it points to.
 */
export interface Links {
  [k: string]: string;
}
/**
 * Files that are written here or fetched, and mode and owner of those that the sets and overlays brought.
 */
export interface Files {
  [k: string]: {
    /**
     * Octal, in quotes: "0600".
     */
    mode?: string;
    /**
     * User and group by number, in quotes: "0:5".
     */
    owner?: string;
    /**
     * What is in it.
     */
    content?: string;
    /**
     * Where it comes from: a file beside service.yaml, or a URL, which gets pinned.
     */
    source?: string;
  };
}
/**
 * How the scripts in postinst/ run: *.sh, in the order of their names, each in the tree that the one before it left.
 */
export interface Postinst {
  /**
   * host: confined, without root; builder: as root in a VM, which can run what is in the tree.
   */
  in?: "host" | "builder";
  /**
   * The service whose VM they run in, with its memory and processors.
   */
  builder?: string;
  /**
   * How much the scripts may add in a builder: a number with M or G.
   */
  room?: string;
  /**
   * Let them take http: URLs through a proxy ($http_proxy), which pins each; there is no other network.
   */
  network?: boolean;
  /**
   * Files and directories of the service's folder that the scripts may read, in ../service/<name>. A change of one runs them all again.
   */
  inputs?: string[];
  /**
   * Seconds that each may take.
   */
  timeout?: number;
}
/**
 * How smol run starts it.
 */
export interface Run {
  memory?: Memory;
  /**
   * Virtual processors.
   */
  cpus?: number;
  /**
   * Ports of the host that reach ports of the guest: [address:]host:guest[/udp]. The address is 127.0.0.1 unless said.
   */
  ports?: string[];
  /**
   * A directory of the host for the guest to mount by 9p, with the tag shared.
   */
  share?: string;
  /**
   * Variables for the guest's /etc/rc, by QEMU's fw_cfg: nothing of them is in the image.
   */
  vars?: {
    [k: string]: string;
  };
  /**
   * Files of the host for the guest, by QEMU's fw_cfg: keys and other secrets, which are never in the image. Paths are relative to the service's folder; ~/ is your home.
   */
  files?: {
    [k: string]: string;
  };
  /**
   * What the kernel takes as its root, such as NAME=webroot or dk0. By default the image's partition, by its name.
   */
  root?: string;
  /**
   * More disks: raw or qcow2 images, relative to the service's folder. The guest writes to them.
   */
  drives?: string[];
  /**
   * So many virtio consoles more, each a socket of the host: /dev/ttyVI01 and on in NetBSD.
   */
  consoles?: number;
  /**
   * A TCP port of the host, [address:]port, at which a serial line of the guest answers to telnet.
   */
  serial?: string;
  /**
   * user: QEMU's own network, behind the host's; none: no network at all.
   */
  network?: "user" | "none";
  /**
   * A bridge of the host for a second network interface; QEMU's bridge helper must allow it.
   */
  bridge?: string;
  /**
   * Do not lock the image, so that other VMs may have it open too.
   */
  shareRw?: boolean;
  /**
   * Load the image into memory as an initial RAM disk, in place of a disk.
   */
  imageAsInitrd?: boolean;
  /**
   * More arguments for QEMU, as they are.
   */
  extra?: string[];
  /**
   * Words to add to the kernel's command line.
   */
  append?: string;
  /**
   * When the service counts as up. By default when its first TCP port says anything; without ports, when user land starts.
   */
  ready?: {
    /**
     * A path that must answer with a status below 400.
     */
    http?: string;
    /**
     * The status that it must answer with instead.
     */
    status?: number;
    /**
     * A regular expression that what it answers must match.
     */
    body?: string;
    /**
     * A regular expression that the console must match.
     */
    console?: string;
    /**
     * The guest's port to ask, if not that of the first forward.
     */
    port?: number;
    /**
     * Seconds to wait before giving up.
     */
    timeout?: number;
  };
}
/**
 * What smol test asks of it, once it is up.
 */
export interface Test {
  /**
   * How long it may take from QEMU's start, in milliseconds.
   */
  budget?: {
    /**
     * Until the first program runs.
     */
    userland?: number;
    /**
     * Until the service answers.
     */
    ready?: number;
  };
  /**
   * One after the other; each has one of http, tcp, console and command.
   */
  checks?: {
    /**
     * For people.
     */
    name?: string;
    /**
     * A path to ask the service for.
     */
    http?: string;
    /**
     * The status that it must answer with. By default 200.
     */
    status?: number;
    /**
     * A port of the guest that says something by itself.
     */
    tcp?: number;
    /**
     * A line to type on the console.
     */
    console?: string;
    /**
     * A command line for sh(1) on the host, beside service.yaml, that must exit with 0. $URL is the service's address, $PORT its port.
     */
    command?: string;
    /**
     * A regular expression that what came must match.
     */
    expect?: string;
    /**
     * Seconds that it may take. By default 10.
     */
    timeout?: number;
  }[];
}
export interface Override {
  release?: string;
  disk?: Disk;
  sets?: Sets;
  kernel?: KernelChoice;
  size?: Size;
  minimize?: Minimize;
  rootdir?: Rootdir;
  packages?: Packages;
  readOnly?: ReadOnly;
  fs?: Fs;
  links?: Links;
  files?: Files;
  run?: Run;
}
