import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { Scratch, sweepScratch } from '../engine/scratch.ts';
import { type DiskChunks, parseChunks } from '../formats/diskchunks.ts';
import { type Descriptor, hexOf, isFor, type Manifest, TITLE, TYPES } from '../formats/oci.ts';
import { referenceText } from '../formats/reference.ts';
import { readChecked, remember, writeChecked } from '../host/checked.ts';
import { isFile, makeDirectory, readIfThere, sha256, signature } from '../host/files.ts';
import { withLock } from '../host/lock.ts';
import { cacheRoot } from '../host/paths.ts';
import { copySparse } from '../host/sparsefile.ts';
import { type MachineConfig, parseMachineConfig } from '../manifest/machine.ts';
import { type Arch, archNamed } from '../model/arch.ts';
import { Problem } from '../model/problem.ts';
import * as problems from '../model/problems.ts';
import { assertSigned } from '../registry/cosign.ts';
import { downloadDisk, downloadFile, type Seed } from '../registry/download.ts';
import { type FoundManifest, Repository } from '../registry/repository.ts';
import { referenceFrom } from './references.ts';
import type { Caller } from './session.ts';
import { asStep } from './transferstep.ts';

export interface PullOptions {
  readonly reference: string;
  readonly arch?: string | undefined;
  /** A file with the public key of who must have signed it. */
  readonly key?: string | undefined;
}

/** An image of a registry, on this host. */
export interface Pulled {
  readonly reference: string;
  /** Of the manifest. */
  readonly digest: string;
  /** How it is run; undefined for a disk that says nothing of that. */
  readonly config: MachineConfig | undefined;
  readonly disk: string;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  /** Bytes that were fetched for it now. */
  readonly received: number;
}

/** What is noted of an image once all of it is there. */
interface Note {
  readonly repository: string;
  readonly digest: string;
  readonly arch: Arch | undefined;
  readonly config: MachineConfig | undefined;
  /** Of the disk, as `signature` has it: whoever changes it makes it worth nothing. */
  readonly disk: string;
}

/** What nobody has run or pulled for so long is removed by `smol gc`: milliseconds. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Brings an image of a registry to this host, for this or another architecture; only chunks of its disk that the last one of
 * the same repository has not. Throws what registries do, `not-for-arch`, `not-an-image` and `wrong-signature`.
 */
export async function pull(caller: Caller, options: PullOptions): Promise<Pulled> {
  const reference = await referenceFrom(caller, options.reference);
  const repository = new Repository(reference, 'pull', caller.signal);
  const name = referenceText(reference);
  const whole = await repository.manifest(reference.digest ?? reference.tag);
  if (options.key !== undefined) await assertSigned(repository, whole.digest, path.resolve(caller.folder, options.key));
  const manifest = await manifestFor(repository, name, whole, options.arch);
  remember(tagFile(name, options.arch), { digest: manifest.digest });
  const folder = folderOf(manifest.digest);
  const isHere = () => (noteIn(folder) === undefined ? undefined : pulledIn(folder, name));
  const here = isHere();
  if (here !== undefined) return here;
  makeDirectory(pulledRoot());
  await sweepScratch(pulledRoot());
  return withLock(
    `${folder}.lock`,
    async () => isHere() ?? (await download(caller, repository, name, manifest, folder)),
    caller.signal,
  );
}

/** The same; where the registry cannot be reached, what was pulled of that name before, if anything was. */
export async function pullOrRecall(caller: Caller, options: PullOptions): Promise<Pulled> {
  try {
    return await pull(caller, options);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'registry-unreachable' || options.key !== undefined) throw error;
    const name = referenceText(await referenceFrom(caller, options.reference));
    const digest = readChecked<{ digest: string }>(tagFile(name, options.arch))?.digest;
    const folder = digest === undefined ? undefined : folderOf(digest);
    if (folder === undefined || noteIn(folder) === undefined) throw error;
    caller.emit({ type: 'notice', text: `${error.message}; what was pulled of it last is run` });
    return pulledIn(folder, name);
  }
}

/** Copies a pulled image into a folder, named as a build of it would be, with holes. Gives the files. */
export async function unpackPulled({ config, disk, kernel, initrd, reference }: Pulled, to: string): Promise<string[]> {
  makeDirectory(to);
  const last = reference
    .replace(/[@:][^/]*$/, '')
    .split('/')
    .at(-1)!;
  const name = config === undefined ? last : `${config.service}-${config.arch}`;
  const files: string[] = [];
  for (const [from, ending] of [
    [disk, 'img'],
    [kernel, 'kernel'],
    [initrd, 'initrd'],
  ] as const) {
    if (from === undefined) continue;
    const file = path.join(to, `${name}.${ending}`);
    await copySparse(from, file);
    files.push(file);
  }
  return files;
}

/** Removes what was not used for long. */
export function sweepPulled(now: number): void {
  for (const name of list()) {
    const folder = path.join(pulledRoot(), name);
    const used = statSync(path.join(folder, NOTE), { throwIfNoEntry: false })?.mtimeMs;
    if (used !== undefined && now - used > KEPT_MS) rmSync(folder, { recursive: true, force: true });
  }
}

const NOTE = 'image.json';
const DISK = 'disk.img';
const CHUNKS = 'chunks.json';

function pulledRoot(): string {
  return path.join(cacheRoot(), 'pulled');
}

function folderOf(digest: string): string {
  return path.join(pulledRoot(), hexOf(digest));
}

function tagFile(name: string, arch: string | undefined): string {
  return path.join(pulledRoot(), 'tags', `${sha256(`${name} ${arch ?? ''}`)}.json`);
}

function list(): string[] {
  return existsSync(pulledRoot()) ? readdirSync(pulledRoot()).filter((name) => /^[0-9a-f]{64}$/.test(name)) : [];
}

/** What is noted of an image that is there as it was pulled. */
function noteIn(folder: string): Note | undefined {
  const note = readChecked<Note>(path.join(folder, NOTE));
  return note?.disk === diskSignature(path.join(folder, DISK)) ? note : undefined;
}

/** A VM that runs from a disk gives it a name more, which changes nothing of it. */
function diskSignature(file: string): string | undefined {
  return signature(file, { names: false });
}

function pulledIn(folder: string, reference: string, received = 0): Pulled {
  const { digest, config } = noteIn(folder)!;
  const now = new Date();
  utimesSync(path.join(folder, NOTE), now, now);
  const file = (name: string) => (isFile(path.join(folder, name)) ? path.join(folder, name) : undefined);
  const disk = path.join(folder, DISK);
  return { reference, digest, config, disk, kernel: file('kernel'), initrd: file('initrd'), received };
}

/** The manifest for an architecture, where there are several. */
async function manifestFor(
  repository: Repository,
  name: string,
  whole: FoundManifest,
  wanted: string | undefined,
): Promise<FoundManifest> {
  const { manifests } = whole.value;
  if (manifests === undefined) return whole;
  const arch = archNamed(wanted ?? process.arch);
  if (arch === undefined) throw problems.unknownArch(wanted ?? process.arch);
  const found = manifests.find((each) => isFor(each, arch));
  const known = manifests.map(({ platform }) => platform?.architecture ?? 'unknown');
  if (found === undefined) throw problems.notForArch(name, arch, known);
  return repository.manifest(found.digest);
}

async function download(
  caller: Caller,
  repository: Repository,
  name: string,
  { digest, value }: FoundManifest,
  folder: string,
): Promise<Pulled> {
  const { size } = await asStep(caller, 'pull', name, async (step) => {
    await using scratch = new Scratch(pulledRoot());
    const made = path.join(await scratch.get(), 'image');
    mkdirSync(made);
    const config = await configOf(repository, name, value);
    const progress = (done: number, total: number) => caller.emit({ type: 'step-progress', step, done, total });
    const seed = newestLike(repository.name, config?.arch);
    let received = await diskInto(made, repository, name, value, seed, progress);
    for (const [file, type] of [
      ['kernel', TYPES.kernel],
      ['initrd', TYPES.initrd],
    ] as const) {
      const layer = value.layers.find(({ mediaType }) => mediaType === type);
      if (layer !== undefined) received += await downloadFile(repository, layer, path.join(made, file), true);
    }
    chmodSync(path.join(made, DISK), 0o444);
    const disk = diskSignature(path.join(made, DISK))!;
    const note: Note = { repository: repository.name, digest, arch: config?.arch, config, disk };
    writeChecked(path.join(made, NOTE), note);
    // One that was there and was changed.
    rmSync(folder, { recursive: true, force: true });
    await rename(made, folder);
    return { digest, size: received };
  });
  return pulledIn(folder, name, size);
}

async function configOf(
  repository: Repository,
  name: string,
  { config }: Manifest,
): Promise<MachineConfig | undefined> {
  if (config?.mediaType !== TYPES.machine) return undefined;
  const found = parseMachineConfig((await repository.blobBytes(config)).toString());
  if (found === undefined) throw problems.notAnImage(name, 'it does not say how it is run, or wants what it may not');
  return found;
}

/** Puts the disk of an image into a folder. Gives the bytes that were fetched. */
async function diskInto(
  folder: string,
  repository: Repository,
  name: string,
  { layers = [] }: Manifest,
  seed: Seed | undefined,
  progress: (done: number, total: number) => void,
): Promise<number> {
  const of = (type: string) => layers.find(({ mediaType }) => mediaType === type);
  const [disk, chunks, raw] = [of(TYPES.disk), of(TYPES.chunks), of(TYPES.rawDisk)];
  const file = path.join(folder, DISK);
  if (disk !== undefined && chunks !== undefined) {
    const text = (await repository.blobBytes(chunks)).toString();
    const index = parseChunks(text);
    if (index === undefined) throw problems.notAnImage(name, 'the index of its disk is damaged');
    writeFileSync(path.join(folder, CHUNKS), text);
    return chunks.size + (await downloadDisk(repository, disk, index, file, seed, progress));
  }
  if (raw === undefined) throw problems.notAnImage(name, `it has ${typesOf(layers) || 'nothing in it'}`);
  const isPacked = /\.gz$/.test(raw.annotations?.[TITLE] ?? '');
  const packed = `${file}.tmp`;
  const received = await downloadFile(repository, raw, packed, isPacked);
  await copySparse(packed, file);
  rmSync(packed);
  return received;
}

function typesOf(layers: readonly Descriptor[]): string {
  return layers.map(({ mediaType }) => mediaType).join(', ');
}

/** The disk that was pulled last from a repository for an architecture: what the next one is most like. */
function newestLike(repository: string, arch: Arch | undefined): Seed | undefined {
  const found = list().flatMap((name) => {
    const folder = path.join(pulledRoot(), name);
    const note = noteIn(folder);
    if (note?.repository !== repository || note.arch !== arch) return [];
    const index: DiskChunks | undefined = parseChunks(readIfThere(path.join(folder, CHUNKS)) ?? '');
    const used = statSync(path.join(folder, NOTE)).mtimeMs;
    return index === undefined ? [] : [{ file: path.join(folder, DISK), index, used }];
  });
  return found.sort((a, b) => b.used - a.used)[0];
}
