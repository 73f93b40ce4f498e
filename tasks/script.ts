import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TarIndexer } from '../formats/tar.ts';
import { tarOfTree } from '../formats/tartree.ts';
import { confined, confinedHere } from '../host/confine.ts';
import { pieces } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import type { ProxyServer } from '../host/proxy.ts';
import type { Blob, Slice, Tree, TreeArtifact } from '../model/artifact.ts';
import { scriptFailed } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { changed } from './changes.ts';
import type { RecordedSource } from './recorded.ts';

export interface ScriptOptions {
  /** What people call the script. */
  readonly label: string;
  readonly service: string;
  /** The files of the service's folder that it may read, by their paths there; each is an input. */
  readonly files: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Seconds. */
  readonly timeout: number;
}

/** Unpacks the tree, runs the script in it, and packs what is there then: all in one session of fakeroot, which knows the owners. */
const UNPACKED = 'umask 022; mkdir -p root && tar xpf in.tar -C root --numeric-owner && cd root || exit 125';
const AROUND = `${UNPACKED}
sh ../script.sh; status=$?
cd .. && tar cf out.tar --numeric-owner -C root . || exit 125
exit $status`;

/**
 * A tree as a script leaves it. The script is confined: the tree is its working directory, the declared files of its service
 * are in ../service/<name>, and nothing else of the host but its programs is there. What it did not change stays as it was,
 * times and all; what it did has no time of its own. Throws `script-failed`.
 */
export const script: Task = {
  kind: 'script',
  version: 1,
  summary: 'a tree as a confined script leaves it',
  pool: 'cpu',
  tools: () => ['bwrap', 'fakeroot', 'sh', 'tar'],
  async run(context: StepContext) {
    const { label, env, timeout } = context.options as unknown as ScriptOptions;
    const { store, signal } = context;
    const folder = await context.scratch();
    const tree = await prepare(folder, context);
    const refused: string[] = [];
    await using proxy = await proxyFor(context, (line) => refused.push(line));
    const limit = timeout * 1000;
    const outcome = await confined(AROUND, { label, folder, env, proxy: proxy?.folder, limit, signal });
    const { code, stdout, stderr } = outcome;
    const said = [...(stdout + stderr).split('\n').filter((line) => line !== ''), ...refused];
    if (code !== 0) throw scriptFailed(label, code, said.slice(-TAIL).join('\n'));
    for (const line of said) context.log(line);
    return store.putTree(await unpacked(tree, path.join(folder, 'out.tar'), label, context));
  },
};

/** The network of a script that is to have one. */
export async function proxyFor(
  context: StepContext,
  refused: (line: string) => void,
): Promise<ProxyServer | undefined> {
  return (context.source as RecordedSource | undefined)?.serve(context, refused);
}

/** What is known of a script's step before it runs. */
export type Given = Pick<StepContext, 'store' | 'signal' | 'options' | 'inputs'>;

/** Puts into a folder what a script works with: the tree as in.tar, script.sh, and the files of the service. */
async function prepare(folder: string, context: Given): Promise<Tree> {
  const { store, signal, inputs } = context;
  const tree = await store.readTree(inputs.tree as TreeArtifact);
  const archive = tarOfTree(tree, (entries) => store.readEntries(entries, signal));
  await pipeline(Readable.from(archive), createWriteStream(path.join(folder, 'in.tar')));
  for (const { name, bytes } of await filesGiven(context)) {
    const at = path.join(folder, name);
    mkdirSync(path.dirname(at), { recursive: true });
    writeFileSync(at, bytes, { mode: 0o755 });
  }
  return tree;
}

/** What a script is given beside the tree: script.sh itself, and the files of its service in service/<name>/. */
export async function filesGiven({ store, options, inputs }: Given): Promise<{ name: string; bytes: Buffer }[]> {
  const { service, files } = options as unknown as ScriptOptions;
  const bytes = (name: string) => store.readBytes((inputs[name] as Blob).digest);
  const found = [{ name: 'script.sh', bytes: await bytes('script') }];
  for (const file of files) found.push({ name: `service/${service}/${file}`, bytes: await bytes(inputName(file)) });
  return found;
}

/** A shell where a script works, with what it works with; what is done there is lost. Gives the shell's exit code. */
export async function shellAt(folder: string, context: Given): Promise<number> {
  await prepare(folder, context);
  const { env } = context.options as unknown as ScriptOptions;
  return confinedHere(`${UNPACKED}\nexec sh`, { folder, env });
}

/** How many lines of a script that failed are told. */
export const TAIL = 30;

export function scriptStep(
  target: string,
  options: ScriptOptions,
  tree: Step,
  file: Step,
  inputs: readonly Step[],
  network?: RecordedSource,
): Step {
  return {
    name: scriptStepName(options.label, target),
    task: script,
    options: { ...options, files: [...options.files], env: { ...options.env } },
    inputs: { tree, script: file, ...fileInputs(options.files, inputs) },
    source: network,
  };
}

/** The name of the step that a script of a target is. */
export function scriptStepName(label: string, target: string): string {
  return `${label} of ${target}`;
}

/** The files that a script may read, as inputs of its step. */
export function fileInputs(files: readonly string[], steps: readonly Step[]): Step['inputs'] {
  return Object.fromEntries(files.map((name, n) => [inputName(name), steps[n]!]));
}

function inputName(file: string): string {
  return `file ${file}`;
}

/** The tree in an archive, where it changed. */
async function unpacked(before: Tree, archive: string, label: string, { store, signal }: StepContext): Promise<Tree> {
  const tar = await TarIndexer.open(label);
  for await (const piece of pieces(archive, signal)) await tar.write(piece);
  using file = new ImageFile(archive);
  return await changed(before, (await tar.end())(''), ({ content }) => piecesOf(file, content), store);
}

function* piecesOf(file: ImageFile, { offset, size }: Slice): Generator<Buffer> {
  for (let done = 0; done < size; done += PIECE) yield file.read(offset + done, Math.min(PIECE, size - done));
}

const PIECE = 1024 * 1024;
