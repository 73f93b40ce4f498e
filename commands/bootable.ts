import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readPartitions } from '../formats/gpt.ts';
import { kernelKind } from '../formats/kernelkind.ts';
import { isFile, signature } from '../host/files.ts';
import { ImageFile } from '../host/imagefile.ts';
import { packageRoot } from '../host/paths.ts';
import { Project } from '../manifest/project.ts';
import { type Arch, archNamed } from '../model/arch.ts';
import type { Build } from '../model/manifest.ts';
import * as problems from '../model/problems.ts';
import type { Runnable } from '../vm/runnable.ts';
import type { Built } from './build.ts';
import type { Pulled } from './pull.ts';
import type { Caller, Session } from './session.ts';

/** What a VM boots, wherever it came from. */
export interface Bootable {
  readonly runnable: Runnable;
  readonly kernel: string;
  readonly initrd: string | undefined;
  /** The file with the root, and what tells it from an earlier one. */
  readonly image: { readonly file: string; readonly identity: string } | undefined;
}

/** Files that somebody named, in place of what a service has. */
export interface NamedFiles {
  readonly image?: string | undefined;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
}

/** What was built, with the files that a user named in place of parts of it. */
export async function bootableOf(
  { folder }: Pick<Caller, 'folder'>,
  session: Session,
  built: Built,
  named: NamedFiles,
): Promise<Bootable> {
  const { target, image, kernel, initrd } = built;
  const { store } = session.workshop;
  const at = (file: string) => found(path.resolve(folder, file));
  const isOwnKernel = named.kernel === undefined;
  const own = initrd === undefined || !isOwnKernel ? undefined : await store.verifiedFile(initrd);
  return {
    runnable: named.image === undefined ? target : { ...target, partition: partitionOf(at(named.image)) },
    kernel: isOwnKernel ? await store.verifiedFile(kernel) : at(named.kernel!),
    initrd: named.initrd === undefined ? own : at(named.initrd),
    image: named.image === undefined ? { file: target.image, identity: image.key } : imageOf(at(named.image)),
  };
}

/** A kernel, and an image if it is given one, that need no project. Throws `unknown-kernel-kind` and `no-such-file`. */
export async function bootableOfFiles(
  { folder }: Pick<Caller, 'folder'>,
  { image, kernel, initrd, arch }: NamedFiles & { readonly kernel: string; readonly arch?: string | undefined },
): Promise<Bootable> {
  const at = (file: string) => found(path.resolve(folder, file));
  const bytes = readFileSync(at(kernel));
  const kind = kernelKind(bytes);
  if (kind === undefined) throw problems.unknownKernelKind(kernel);
  const wanted = arch === undefined ? (kind.arch ?? archNamed(process.arch)) : archNamed(arch);
  if (wanted === undefined) throw problems.unknownArch(arch ?? process.arch);
  const name = path.basename(image ?? kernel).replace(/\.[a-z0-9]+$/, '');
  return {
    runnable: {
      name,
      arch: wanted,
      guest: kind.guest,
      folder,
      run: {},
      kernel: { name: kernel, build: await buildFor(kind.guest, wanted, kernel) },
      partition: image === undefined ? undefined : partitionOf(at(image)),
    },
    kernel: at(kernel),
    initrd: initrd === undefined ? undefined : at(initrd),
    image: image === undefined ? undefined : imageOf(at(image)),
  };
}

/** An image of a registry, with the files that a user named in place of parts of it. Throws `no-kernel-in-image`. */
export async function bootableOfPulled(
  caller: Pick<Caller, 'folder'>,
  pulled: Pulled,
  named: NamedFiles,
): Promise<Bootable> {
  const { config, kernel, disk, digest, initrd } = pulled;
  if (config === undefined || kernel === undefined || named.kernel !== undefined) {
    if (named.kernel === undefined) throw problems.noKernelIn(pulled.reference);
    return bootableOfFiles(caller, { ...named, kernel: named.kernel, image: disk, arch: config?.arch });
  }
  const { service, arch, guest, partition, run } = config;
  return {
    runnable: { name: service, arch, guest, folder: caller.folder, run, kernel: config.kernel, partition },
    kernel,
    initrd,
    image: { file: disk, identity: digest },
  };
}

/** How kernels of a guest are run on an architecture, as the catalogue that comes with smol has it. */
async function buildFor(guest: string, arch: Arch, kernel: string): Promise<Build> {
  const catalogue = await Project.find(packageRoot());
  for (const name of catalogue.kernels()) {
    const { value } = await catalogue.kernel(name, async () => undefined);
    const build = value.archs[arch];
    if (value.guest === guest && build !== undefined) return build;
  }
  throw problems.unsupportedArch(`the kernel ${kernel}`, arch, []);
}

/** The name of the first partition of an image. */
function partitionOf(file: string): string | undefined {
  using source = new ImageFile(file);
  return readPartitions(source)[0]?.name || undefined;
}

function imageOf(file: string): NonNullable<Bootable['image']> {
  return { file, identity: signature(file) ?? '' };
}

function found(file: string): string {
  if (!isFile(file)) throw problems.noSuchFile(file);
  return file;
}
