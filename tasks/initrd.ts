import { readFileSync } from 'node:fs';
import type { CpioEntry } from '../formats/cpio.ts';
import { cpio } from '../formats/cpio.ts';
import { section } from '../formats/elf.ts';
import { isFile, nameOf } from '../formats/tree.ts';
import { sha256 } from '../host/files.ts';
import type { FileEntry, Tree, TreeArtifact } from '../model/artifact.ts';
import { inputChanged, missingFile } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { fileOf } from './kernel.ts';

interface Options {
  /** The names of the modules to load, with all that they depend on. */
  readonly modules: readonly string[];
  readonly source: string;
}

/**
 * An initial RAM disk for a Linux kernel: busybox, the modules that it needs to find its disk, in the order in which
 * they must be loaded (`/modules/order`), and the script that does it (`/init`).
 */
export const initrd: Task = {
  kind: 'initrd',
  version: 1,
  summary: 'an initial RAM disk with busybox and kernel modules',
  pool: 'cpu',
  async run(context: StepContext) {
    const { modules, source } = context.options as unknown as Options;
    const tree = await context.store.readTree(context.inputs.kernel as TreeArtifact);
    const ordered = await loadOrder(context, tree, modules, source);
    const busybox = await fileOf(context, context.inputs.busybox as TreeArtifact, 'busybox', '*bin/busybox');
    const init = readFileSync(context.source!.name);
    if (sha256(init) !== context.identity) throw inputChanged(context.source!.name);
    const folder = (path: string): CpioEntry => ({ path, mode: 0o040755 });
    return context.store.putBytes(
      cpio([
        ...['bin', 'dev', 'modules', 'proc', 'root', 'sys'].map(folder),
        { path: 'dev/console', mode: 0o020600, device: { major: 5, minor: 1 } },
        { path: 'bin/busybox', mode: 0o100755, content: busybox },
        { path: 'init', mode: 0o100755, content: init },
        ...ordered.map(({ name, content }) => ({ path: `modules/${name}`, mode: 0o100644, content })),
        {
          path: 'modules/order',
          mode: 0o100644,
          content: Buffer.from(ordered.map(({ name }) => `${name}\n`).join('')),
        },
      ]),
    );
  },
};

export function initrdStep(
  name: string,
  inputs: { kernel: Step; busybox: Step },
  init: string,
  options: Options,
): Step {
  const identify = async () => sha256(readFileSync(init));
  return {
    name: `initrd ${name}`,
    task: initrd,
    options: { ...options },
    inputs,
    source: { name: init, path: init, known: identify, identify },
  };
}

interface Module {
  readonly name: string;
  readonly content: Buffer;
}

/** The modules and all that they depend on, each after what it needs. Debian's packages bring no modules.dep. */
async function loadOrder(
  context: StepContext,
  tree: Tree,
  wanted: readonly string[],
  source: string,
): Promise<Module[]> {
  const files = new Map<string, FileEntry>();
  for (const entry of tree.filter(isFile)) {
    const found = /\/([^/]+)\.ko$/.exec(entry.path);
    if (found) files.set(found[1]!.replaceAll('-', '_'), entry);
  }
  const list = tree.filter(isFile).find((entry) => nameOf(entry.path) === 'modules.builtin');
  const builtin = new Set(
    (list === undefined ? '' : (await context.store.readEntry(list, context.signal)).toString())
      .match(/[^/\n]+(?=\.ko$)/gm)
      ?.map(plain) ?? [],
  );
  const ordered = new Map<string, Module>();
  const visit = async (name: string): Promise<void> => {
    if (ordered.has(name) || builtin.has(name)) return;
    const entry = files.get(name);
    if (entry === undefined) throw missingFile(source, `${name}.ko`);
    const content = await context.store.readEntry(entry, context.signal);
    for (const dependency of dependenciesOf(content)) await visit(dependency);
    ordered.set(name, { name: `${name}.ko`, content });
  };
  for (const name of wanted) await visit(plain(name));
  return [...ordered.values()];
}

/** The kernel takes - and _ in names of modules for the same. */
function plain(name: string): string {
  return name.replaceAll('-', '_');
}

/** The line `depends=` of a module's .modinfo section (Linux: include/linux/module.h). */
function dependenciesOf(module: Buffer): string[] {
  const lines = (section(module, '.modinfo') ?? Buffer.alloc(0)).toString('latin1').split('\0');
  const depends = lines.find((line) => line.startsWith('depends='))?.slice('depends='.length) ?? '';
  return depends
    .split(',')
    .filter((name) => name !== '')
    .map(plain);
}
