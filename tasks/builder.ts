import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type FileSystemName, layOutDisk, mapOf, smallestDisk } from '../formats/disk.ts';
import { parseMap } from '../formats/extentmap.ts';
import type { Member } from '../formats/tarball.ts';
import { Volume } from '../formats/volume.ts';
import { BrokenVolume } from '../formats/volumeform.ts';
import { ImageFile } from '../host/imagefile.ts';
import { cacheRoot } from '../host/paths.ts';
import { quote } from '../host/process.ts';
import { forwardCommand, type ProxyServer, proxyVariables } from '../host/proxy.ts';
import type { Blob, FileEntry, Tree, TreeArtifact } from '../model/artifact.ts';
import { bakingBroke, bakingUnfinished, guestPanicked, scriptFailed, scriptTimedOut } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { GUESTS } from '../vm/guests.ts';
import { JOB, JobConsole, JobOutput, makeOutputDisk, writeInputDisk } from '../vm/job.ts';
import { killNow, makeRuntimeFolder, RunningVm } from '../vm/launch.ts';
import { EMULATORS, type Machine, PROXY_ADDRESS } from '../vm/machine.ts';
import { machineOf, type Runnable, type RunWishes } from '../vm/runnable.ts';
import { changed } from './changes.ts';
import { writeImage } from './image.ts';
import type { RecordedSource } from './recorded.ts';
import { fileInputs, filesGiven, type Given, proxyFor, type ScriptOptions, scriptStepName, TAIL } from './script.ts';

export interface BuilderOptions extends ScriptOptions {
  /** The VM that the script runs in, of another service. */
  readonly builder: Omit<Runnable, 'folder'>;
  /** The file system that the tree is on while it is worked on. */
  readonly fs: FileSystemName;
  /** Bytes that the script may add, to the tree and to the builder's own root. */
  readonly room: number;
}

/** The name of the partition with the tree, in the builder VM. */
const PARTITION = 'smolbuilder';
/** What the guest's shell exits with where it could not even begin, or end. */
const BROKE = 125;

/**
 * A tree as a script leaves it that ran in a VM of another service, the builder: in the guest, as root, on a disk with the
 * tree, so that it can run what is in the tree. What it did not change stays as it was, times and all. How it went comes
 * back on a disk of its own. Throws `script-failed`, `script-timed-out` and what became of a VM that did not come so far.
 */
export const builder: Task = {
  kind: 'builder',
  version: 1,
  summary: 'a tree as a script leaves it in a builder VM',
  pool: 'vm',
  tools: ({ options }) => [EMULATORS[(options as unknown as BuilderOptions).builder.arch]],
  async run(context: StepContext) {
    const options = context.options as unknown as BuilderOptions;
    const { label, timeout } = options;
    const folder = await context.scratch();
    const { tree, disks } = await prepare(folder, context);
    const console = new JobConsole();
    const said: string[] = [];
    const hear = (bytes: Buffer) => {
      for (const line of console.hear(bytes).split('\n').slice(0, -1)) {
        said.push(line);
        context.log(line);
      }
    };
    const time = AbortSignal.timeout(timeout * 1000);
    const refused = (line: string) => {
      said.push(line);
      context.log(line);
    };
    await using proxy = await proxyFor(context, refused);
    const job = jobOf(options, 'sh "$IN/script.sh"', proxy !== undefined);
    const tail = await runVm(disks, folder, context, { job, hear, over: time, proxy });
    if (time.aborted) throw scriptTimedOut(label, timeout, said.slice(-TAIL).join('\n'));
    const status = await statusOn(disks.output);
    if (status === undefined) throw bakingUnfinished(label, tail);
    if (status === BROKE) throw bakingBroke(label, tail);
    if (status !== 0) throw scriptFailed(label, status, said.slice(-TAIL).join('\n'));
    return context.store.putTree(await treeOn(disks.tree, tree, label, context));
  },
};

/** Who sits at the VM's console. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream;
  write(bytes: Uint8Array): void;
}

/** A shell in the VM where a script works, with what it works with; what is done there is lost. Gives the shell's exit code. */
export async function shellInBuilder(folder: string, context: Keyed, terminal: Terminal): Promise<number> {
  const { disks } = await prepare(folder, context);
  const console = new JobConsole();
  const hear = (bytes: Buffer, type: (bytes: Uint8Array) => void) => {
    const wasOn = console.isOn;
    console.hear(bytes);
    if (wasOn) terminal.write(bytes);
    else if (console.isOn) terminal.input.on('data', type);
  };
  const job = jobOf(context.options as unknown as BuilderOptions, 'sh -i', false);
  await runVm(disks, folder, context, { job, hear, over: new AbortController().signal });
  return (await statusOn(disks.output)) ?? BROKE;
}

/** The same, with what names the disks. */
type Keyed = Given & Pick<StepContext, 'key'>;

/** The disks, written; and the tree that is on one of them. */
async function prepare(folder: string, context: Keyed): Promise<{ tree: Tree; disks: Disks }> {
  const { fs, room, builder: vm } = context.options as unknown as BuilderOptions;
  const { store, inputs } = context;
  const tree = inputs.tree as TreeArtifact;
  const disks = {
    root: await diskWith(inputs.builder as TreeArtifact, 'ext2', room, folder, vm.partition!, context),
    tree: await diskWith(tree, fs, room, folder, PARTITION, context),
    input: path.join(folder, 'in.img'),
    output: path.join(folder, 'out.img'),
  };
  await writeInputDisk(disks.input, given(context));
  makeOutputDisk(disks.output, STATUS_ROOM);
  return { tree: await store.readTree(tree), disks };
}

/** The exit code of the job; undefined if it did not come to its end. */
async function statusOn(disk: string): Promise<number | undefined> {
  using output = await JobOutput.open(disk, `${STATUS_ROOM} bytes`);
  return output?.status;
}

/** A job leaves nothing here but its exit code. */
const STATUS_ROOM = 1024 ** 2;

/** The disks of the VM, in the order in which it has them. */
interface Disks {
  readonly root: string;
  readonly tree: string;
  readonly input: string;
  readonly output: string;
}

async function diskWith(
  artifact: TreeArtifact,
  fs: FileSystemName,
  room: number,
  folder: string,
  partition: string,
  { key, store, signal }: Keyed,
): Promise<string> {
  const file = path.join(folder, `${partition}.img`);
  const tree = await store.readIndex(artifact);
  const disk = layOutDisk(tree, { size: smallestDisk(tree, fs, room), partition, fs }, `${key} ${partition}`)!;
  await writeImage(file, parseMap(mapOf(disk)), store, signal);
  return file;
}

/** The script and the files of the service, as the guest finds them in $IN. */
async function* given(context: Given): AsyncGenerator<Member> {
  for (const { name, bytes } of await filesGiven(context)) {
    const content = async function* () {
      yield bytes;
    };
    yield { name, size: bytes.length, mode: 0o755, content: content() };
  }
}

/** What the guest runs: it finds the tree by the name of its partition, and works in it. */
function jobOf({ fs, env: own }: BuilderOptions, command: string, isProxied: boolean): string {
  const env = isProxied ? { ...own, ...proxyVariables(PROXY_ADDRESS) } : own;
  return `work=/tmp/builder
mkdir -p $work/root && ln -s "$IN/service" $work/service
case $(uname) in
NetBSD) mount -t ${fs === 'ext2' ? 'ext2fs' : 'ffs'} NAME=${PARTITION} $work/root ;;
*)
    uevent=$(grep -l '^PARTNAME=${PARTITION}$' /sys/class/block/*/uevent)
    mount -t ${fs} "/dev/$(sed -n 's/^DEVNAME=//p' "$uevent")" $work/root ;;
esac || exit ${BROKE}
cd $work/root
${Object.entries(env)
  .map(([name, value]) => `export ${name}=${quote(value)}`)
  .join('\n')}
${command}; status=$?
cd / && umount $work/root || exit ${BROKE}
exit $status
`;
}

/** Runs the VM until it has powered off or `over` is aborted. Gives the end of its console. Throws `guest-panicked`. */
async function runVm(
  disks: Disks,
  folder: string,
  context: Given,
  work: {
    readonly job: string;
    readonly hear: (bytes: Buffer, type: (bytes: Uint8Array) => void) => void;
    readonly over: AbortSignal;
    readonly proxy?: ProxyServer | undefined;
  },
): Promise<string> {
  const { builder: runnable, label } = context.options as unknown as BuilderOptions;
  const guest = GUESTS[runnable.guest];
  const runtime = makeRuntimeFolder();
  writeFileSync(path.join(folder, JOB), work.job);
  const machine = await machineFor(disks, folder, runtime, work.proxy, context);
  const vm = await RunningVm.start(machine, folder, guest.userland, { diesWithUs: true });
  const kill = () => killNow(vm);
  process.once('exit', kill);
  const type = (bytes: Uint8Array) => vm.type(bytes);
  let panic: string | undefined;
  vm.on('console', (bytes) => {
    work.hear(bytes, type);
    panic ??= vm.lastWords(guest.panic);
    if (panic !== undefined) kill();
  });
  try {
    const over = AbortSignal.any([context.signal, work.over]);
    over.addEventListener('abort', kill, { once: true });
    if (over.aborted) kill();
    await vm.ended;
    context.signal.throwIfAborted();
    if (panic !== undefined) throw guestPanicked(`the builder of ${label}`, panic, vm.around(panic));
    return vm.tail();
  } finally {
    vm.detach();
    process.off('exit', kill);
    rmSync(runtime, { recursive: true, force: true });
  }
}

async function machineFor(
  disks: Disks,
  folder: string,
  runtime: string,
  proxy: ProxyServer | undefined,
  context: Given,
): Promise<Machine> {
  const { store, inputs, options } = context;
  const { builder: vm } = options as unknown as BuilderOptions;
  const kernel = await store.verifiedFile((inputs.kernel as Blob).digest);
  const { accelerator } = await chooseAccelerator(vm.arch, cacheRoot());
  const wishes: RunWishes = {
    files: { [JOB]: path.join(folder, JOB) },
    drives: [disks.tree, disks.input, disks.output],
    ports: [],
    network: proxy === undefined ? 'none' : 'user',
  };
  const machine = machineOf({ ...vm, folder }, wishes, {
    name: 'builder',
    accelerator,
    kernel: { file: kernel, bytes: readFileSync(kernel) },
    initrd: inputs.initrd && (await store.verifiedFile((inputs.initrd as Blob).digest)),
    disk: { file: disks.root, format: 'raw' },
    runtime,
    consoleLog: path.join(folder, 'console.log'),
  });
  return { ...machine, proxy: proxy && forwardCommand(proxy.folder) };
}

/** The tree on the disk, after the guest has unmounted it. */
async function treeOn(disk: string, before: Tree, label: string, { store }: StepContext): Promise<Tree> {
  using source = new ImageFile(disk);
  try {
    const volume = Volume.open(source);
    const found = volume.entries().filter(({ path: at }) => at !== 'lost+found');
    const inodes = new Map(found.map((entry) => [entry.path, entry]));
    const read = ({ path: at }: FileEntry) => volume.pieces(inodes.get(at)!);
    return await changed(before, volume.tree(found), read, store);
  } catch (error) {
    if (error instanceof BrokenVolume) throw bakingBroke(label, error.message);
    throw error;
  }
}

/** The builder VM's parts are steps too: its root, its kernel and, if it needs one, its initial RAM disk. */
export function builderStep(
  target: string,
  options: BuilderOptions,
  tree: Step,
  file: Step,
  inputs: readonly Step[],
  vm: { readonly root: Step; readonly kernel: Step; readonly initrd: Step | undefined },
  network?: RecordedSource,
): Step {
  const { initrd, kernel, root } = vm;
  return {
    name: scriptStepName(options.label, target),
    task: builder,
    options: JSON.parse(JSON.stringify(options)),
    inputs: {
      tree,
      script: file,
      ...fileInputs(options.files, inputs),
      builder: root,
      kernel,
      ...(initrd && { initrd }),
    },
    source: network,
  };
}
