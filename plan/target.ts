import path from 'node:path';
import type { FileSystemName } from '../formats/disk.ts';
import { NAME_LIMIT } from '../formats/gpt.ts';
import { isDirectory } from '../host/digests.ts';
import { isFile, walk } from '../host/files.ts';
import type { Path } from '../manifest/document.ts';
import type { FoundService, Project } from '../manifest/project.ts';
import { ARCHS, type Arch, archNamed } from '../model/arch.ts';
import type { Build, Release, Service } from '../model/manifest.ts';
import { type Place, type Problem, Problems, problemsOf } from '../model/problem.ts';
import * as problems from '../model/problems.ts';
import { type ImageSize, parseImageSize, parseSize } from '../model/words.ts';

import { CONTENTS } from './contents.ts';

/** A set, or parts of it. */
export interface SetParts {
  readonly set: string;
  /** Patterns of paths; undefined means all of it. */
  readonly parts: readonly string[] | undefined;
}

/** A script, and what it may read and need. */
export interface Script {
  readonly label: string;
  /** A URL, or an absolute path as `file:`. */
  readonly source: string;
  readonly sha256: string | undefined;
  /** Files of the service's folder. */
  readonly inputs: readonly string[];
  /** Seconds. */
  readonly timeout: number;
}

/** Where scripts run if not on this host. */
export interface Builder {
  readonly target: Target;
  /** Bytes that the scripts may add. */
  readonly room: number;
}

/** One service for one architecture, with everything decided. */
export interface Target {
  /** `rescue-i386`. */
  readonly name: string;
  readonly service: string;
  readonly arch: Arch;
  /** The folder of the service. */
  readonly folder: string;
  readonly guest: Release['guest'];
  readonly release: { readonly name: string; readonly manifest: Release };
  /** The target whose tree this one begins with. */
  readonly from: Target | undefined;
  /** The image that somebody published, if it is one. */
  readonly disk: Pick<NonNullable<Service['disk']>, 'source' | 'checksums'> | undefined;
  readonly sets: readonly SetParts[];
  /** Patterns of binary packages. */
  readonly packages: readonly string[];
  readonly kernel: {
    readonly name: string;
    readonly file: string;
    readonly build: Build;
    /** Whether the image holds it too. */
    readonly inImage: boolean;
  };
  /** The name of the root partition, by which the kernel finds it. */
  readonly partition: string;
  /** Of the whole image. */
  readonly size: ImageSize;
  readonly fs: FileSystemName;
  readonly readOnly: boolean;
  /** The hand-made directory, and the specification of its owners and modes: absolute paths. */
  readonly rootdir: { readonly folder: string; readonly mtree: string | undefined } | undefined;
  readonly directories: readonly string[];
  readonly links: Readonly<Record<string, string>>;
  readonly files: NonNullable<Service['files']>;
  /** Scripts that work on the composed tree, in order. */
  readonly scripts: readonly Script[];
  /** The VM that they run in; undefined if that is this host. */
  readonly builder: Builder | undefined;
  /** Whether they may take from the network. */
  readonly network: boolean;
  readonly run: NonNullable<Service['run']>;
  readonly test: NonNullable<Service['test']>;
  /** Seconds since 1970. */
  readonly sourceDate: number | undefined;
  /** Where the image goes. */
  readonly image: string;
}

/** What an image is made of, unless it is there already. */
const PARTS_OF_ROOTS = [
  'from',
  'sets',
  'packages',
  'rootdir',
  'directories',
  'links',
  'files',
  'postinst',
  'finalizer',
  'size',
  'minimize',
  'fs',
  'readOnly',
] as const;

const CHECK_KINDS = ['http', 'tcp', 'console', 'command'] as const;

const DEFAULT_SIZE = '512M';
/** What mkimg.sh leaves of an image that it minimizes: its contents and a tenth more. */
const MINIMIZED = 'auto+10%';

/** Parts of a service that a later version will work on: refused, so that nobody believes that they did something. */
const LATER_FOLDERS = ['packages'] as const;
/** Seconds that a script may take where nobody says. */
const SCRIPT_SECONDS = 600;

/** The architecture that a user named, or else the project's, or else the host's. Throws `unknown-arch`. */
export async function chooseArch(project: Project, wanted: string | undefined): Promise<Arch> {
  const { arch } = project.config.value;
  if (wanted === undefined && arch !== undefined && archNamed(arch) === undefined) {
    throw problems.unknownArch(arch, await project.config.place(['arch']));
  }
  const name = wanted ?? arch ?? process.arch;
  const found = archNamed(name);
  if (found === undefined) throw problems.unknownArch(name);
  return found;
}

/** The architectures that a service can be built for: those that it names, or else all that its release has. */
export async function archsOf(project: Project, { manifest }: FoundService): Promise<Arch[]> {
  const { archs, release = project.config.value.release! } = manifest.value;
  if (archs !== undefined) return ARCHS.filter((arch) => archs.some((name) => archNamed(name) === arch));
  const found = await project.release(release, () => manifest.place(['release']));
  return ARCHS.filter((arch) => found.value.archs[arch] !== undefined);
}

/** A service that is made from another, and where it says so. */
interface Edge {
  readonly from: string;
  readonly to: string;
  readonly where: () => Promise<Place>;
}

/** A service for an architecture. `users` lead to it by their from: keys. Throws `Problems` with all that is wrong with it. */
export async function resolveTarget(
  project: Project,
  found: FoundService,
  arch: Arch,
  users: readonly Edge[] = [],
): Promise<Target> {
  const { manifest } = found;
  const wrong: Problem[] = await refusals(found);
  for (const key of Object.keys(manifest.value.overrides ?? {}).concat(manifest.value.archs ?? [])) {
    const at: Path =
      manifest.value.overrides?.[key] === undefined
        ? ['archs', manifest.value.archs!.indexOf(key)]
        : ['overrides', key];
    if (archNamed(key) === undefined) wrong.push(problems.unknownArch(key, await manifest.place(at, 'key')));
  }
  const service = overridden(manifest.value, arch);
  const target = await decide(project, found, service, arch, users).catch((error: unknown) => {
    const found = problemsOf(error);
    if (found.length === 0) throw error;
    wrong.push(...found);
    return undefined;
  });
  if (wrong.length > 0 || target === undefined) throw new Problems(wrong);
  return target;
}

async function decide(
  project: Project,
  found: FoundService,
  service: Service,
  arch: Arch,
  users: readonly Edge[],
): Promise<Target> {
  const { name, folder, manifest } = found;
  const place = async (...at: Path) => (at[0]! in manifest.value ? manifest.place(at) : undefined);
  const supported = manifest.value.archs?.map((each) => archNamed(each));
  if (supported !== undefined && !supported.includes(arch)) {
    throw problems.unsupportedArch(`the service ${name}`, arch, manifest.value.archs!);
  }
  const from = service.from === undefined ? undefined : await targetAt(project, found, ['from'], arch, users);
  const builder = await builderOf(project, found, service, arch, users);
  const releaseName = service.release ?? from?.release.name ?? project.config.value.release!;
  const releasePlace = () => (service.release === undefined ? project.config.place(['release']) : place('release'));
  const releaseManifest = await project.release(releaseName, releasePlace);
  const release = releaseManifest.value;
  const built = release.archs[arch];
  if (built === undefined)
    throw problems.unsupportedArch(
      `the release ${releaseName}`,
      arch,
      ARCHS.filter((each) => release.archs[each]),
    );
  const wrong: Problem[] = [];
  const sets = (service.sets ?? []).map(setParts);
  const { disk } = service;
  for (const key of disk === undefined ? [] : PARTS_OF_ROOTS.filter((each) => service[each] !== undefined)) {
    wrong.push(problems.conflictingKeys((await place(key)) ?? (await manifest.place([], 'key')), 'disk', key));
  }
  // A builder may make all of it.
  const isGiven = disk !== undefined || from !== undefined || builder !== undefined;
  if (sets.length === 0 && !isGiven) wrong.push(problems.noRoot(await manifest.place([], 'key')));
  for (const [n, { set, parts }] of sets.entries()) {
    // Places are asked for only where something is wrong: to find one, the manifest is parsed again.
    if (!release.sets.includes(set)) wrong.push(problems.unknownSet(set, release.sets, await place('sets', n)));
    else if (parts?.length === 0) wrong.push(problems.emptyPart(service.sets![n]!, await place('sets', n)));
  }
  if (service.size !== undefined && service.minimize) {
    wrong.push(
      problems.conflictingKeys((await place('minimize')) ?? (await manifest.place([], 'key')), 'size', 'minimize'),
    );
  }
  const { packages = [] } = service;
  if (packages.length > 0 && release.packages === undefined) {
    wrong.push(problems.noPackages(releaseName, await place('packages')));
  }
  const rootdir = rootdirOf(service, folder, project.root);
  if (rootdir !== undefined && !isDirectory(rootdir.folder)) {
    wrong.push(problems.missingRootdir((await place('rootdir'))!, rootdir.folder));
  }
  if (rootdir?.mtree !== undefined && !isFile(rootdir.mtree)) {
    wrong.push(problems.missingBeside((await place('rootdir', 'mtree'))!, rootdir.mtree));
  }
  for (const [n, check] of (service.test?.checks ?? []).entries()) {
    const kinds = CHECK_KINDS.filter((kind) => check[kind] !== undefined);
    if (kinds.length !== 1)
      wrong.push(problems.oneKindOfCheck(await manifest.place(['test', 'checks', n]), CHECK_KINDS));
  }
  for (const [at, { content, source }] of Object.entries(service.files ?? {})) {
    const key = async (name: string) => (await place('files', at, name)) ?? manifest.place([], 'key');
    if (content !== undefined && source !== undefined) {
      wrong.push(problems.conflictingKeys(await key('source'), 'content', 'source'));
    }
    if (source !== undefined && !isUrl(source) && !isFile(path.resolve(folder, source))) {
      wrong.push(problems.missingBeside(await key('source'), path.resolve(folder, source)));
    }
  }
  if (!isGiven && !hasRc(service, folder, rootdir?.folder))
    wrong.push(problems.missingRc(name, path.relative(project.root, folder) || folder));
  const partition = disk?.root ?? `${name}root`;
  if (partition.length > NAME_LIMIT) wrong.push(problems.longPartitionName(partition));
  if (wrong.length > 0) throw new Problems(wrong);

  const { name: ownKernel, inImage = false } =
    typeof service.kernel === 'string' ? { name: service.kernel } : (service.kernel ?? {});
  const kernelName = ownKernel ?? (service.release === undefined ? from?.kernel.name : undefined) ?? built.kernel;
  const kernel = await project.kernel(kernelName, () => place('kernel'));
  const build = kernel.value.archs[arch];
  if (build === undefined) {
    throw problems.unsupportedArch(
      `the kernel ${kernelName}`,
      arch,
      ARCHS.filter((each) => kernel.value.archs[each]),
    );
  }
  if (kernel.value.guest !== release.guest) {
    throw problems.guestMismatch(
      { name: kernelName, guest: kernel.value.guest, place: await place('kernel') },
      { name: releaseName, guest: release.guest, place: await releaseManifest.place(['guest']) },
    );
  }
  const { fileSystems } = CONTENTS[release.guest];
  const usual = project.config.value.fs ?? hostsOwn();
  const fs = service.fs ?? (fileSystems.includes(usual) ? usual : fileSystems[0]!);
  if (!fileSystems.includes(fs)) throw problems.guestCannotMount(release.guest, fs, fileSystems, await place('fs'));
  const target = `${name}-${arch}`;
  return {
    name: target,
    service: name,
    arch,
    folder,
    guest: release.guest,
    release: { name: releaseName, manifest: release },
    from,
    disk,
    sets,
    packages,
    kernel: { name: kernelName, file: kernel.file, build, inImage },
    partition,
    size: parseImageSize(service.size ?? (service.minimize ? MINIMIZED : DEFAULT_SIZE)),
    fs,
    readOnly: service.readOnly ?? false,
    rootdir,
    directories: service.directories ?? [],
    links: service.links ?? {},
    files: service.files ?? {},
    scripts: scriptsOf(service, name, folder),
    builder,
    network: service.postinst?.network ?? false,
    run: service.run ?? {},
    test: service.test ?? {},
    sourceDate: await sourceDateOf(project),
    image: path.join(project.images, `${target}.img`),
  };
}

/** The target of the service that a key of another one names. Throws `cycle` if that needs the other one in turn. */
async function targetAt(
  project: Project,
  { name, manifest }: FoundService,
  key: Path,
  arch: Arch,
  users: readonly Edge[],
  named = manifest.value.from!,
): Promise<Target> {
  const where = () => manifest.place(key);
  const edges = [...users, { from: name, to: named, where }];
  const start = edges.findIndex((edge) => edge.from === named);
  if (start >= 0) {
    const circle = edges.slice(start).map(async (edge) => ({ ...edge, place: await edge.where() }));
    throw problems.cycle(await Promise.all(circle));
  }
  return resolveTarget(project, await project.service(named, where), arch, edges);
}

async function builderOf(
  project: Project,
  found: FoundService,
  { postinst }: Service,
  arch: Arch,
  users: readonly Edge[],
): Promise<Builder | undefined> {
  if (postinst?.in !== 'builder') return undefined;
  const { builder, room } = postinst;
  const target = await targetAt(project, found, ['postinst', 'builder'], arch, users, builder!);
  return { target, room: parseSize(room!) };
}

/** What mkimg.sh makes: the file system that the host has tools for. */
function hostsOwn(): FileSystemName {
  return (process.platform as string) === 'netbsd' ? 'ffs' : 'ext2';
}

/** Seconds since 1970. ext2 has 32 bits for them, one of which is the sign. */
async function sourceDateOf({ config }: Project): Promise<number | undefined> {
  const { sourceDate } = config.value;
  if (sourceDate === undefined) return undefined;
  const seconds = Date.parse(sourceDate) / 1000;
  if (!(seconds >= 0 && seconds < 2 ** 31)) throw problems.badDate(await config.place(['sourceDate']), sourceDate);
  return seconds;
}

async function refusals({ name, folder, manifest }: FoundService): Promise<Problem[]> {
  const wrong: Problem[] = [];
  const { postinst, finalizer } = manifest.value;
  for (const [n, input] of (postinst?.inputs ?? []).entries()) {
    const file = path.join(folder, input);
    if (!isFile(file) && !isDirectory(file)) {
      wrong.push(problems.missingBeside(await manifest.place(['postinst', 'inputs', n]), file));
    }
  }
  if (finalizer?.url.startsWith('http:') && finalizer.sha256 === undefined) {
    wrong.push(problems.unpinnedFinalizer(await manifest.place(['finalizer', 'url']), finalizer.url));
  }
  for (const each of LATER_FOLDERS) {
    if (walk(path.join(folder, each)).length > 0) wrong.push(problems.folderNotBuiltYet(name, each));
  }
  return wrong;
}

/** `comp:usr/bin/strip,usr/lib/*.so`. A comma within braces is the pattern's. */
function setParts(text: string): SetParts {
  const colon = text.indexOf(':');
  if (colon < 0) return { set: text, parts: undefined };
  const parts = text.slice(colon + 1).split(/,(?![^{]*\})/);
  return { set: text.slice(0, colon), parts: parts.map((part) => part.trim()).filter((part) => part !== '') };
}

/** The scripts of postinst/, in the order of their names, and the finalizer. */
function scriptsOf({ postinst, finalizer }: Service, name: string, folder: string): Script[] {
  const { timeout = SCRIPT_SECONDS } = postinst ?? {};
  const inputs = (postinst?.inputs ?? []).flatMap((input) => filesAt(folder, input));
  const own = walk(path.join(folder, 'postinst'))
    .filter(({ path: file, type }) => type === 'file' && /^[^/]+\.sh$/.test(file))
    .map(({ path: file }): Script => {
      const source = `file:${path.join(folder, 'postinst', file)}`;
      return { label: `services/${name}/postinst/${file}`, source, sha256: undefined, inputs, timeout };
    });
  if (finalizer === undefined) return own;
  const last = {
    label: `finalizer ${finalizer.url}`,
    source: finalizer.url,
    sha256: finalizer.sha256,
    inputs: [],
    timeout,
  };
  return [...own, last];
}

/** A file of a folder; of a directory of it, all files below. */
function filesAt(folder: string, name: string): string[] {
  const at = path.join(folder, name);
  if (!isDirectory(at)) return [name];
  return walk(at).flatMap(({ path: file, type }) => (type === 'file' ? [path.join(name, file)] : []));
}

/** Paths of a service are relative to its folder; with a leading / to the project's root. */
function rootdirOf({ rootdir }: Service, folder: string, root: string): Target['rootdir'] {
  if (rootdir === undefined) return undefined;
  const at = (name: string) => path.resolve(name.startsWith('/') ? root : folder, name.replace(/^\/+/, ''));
  const { path: name, mtree } = typeof rootdir === 'string' ? { path: rootdir } : rootdir;
  return { folder: at(name), mtree: mtree === undefined ? undefined : at(mtree) };
}

/** A source of a release with the words in braces filled in. */
export function filled(source: string, { release, arch }: Target, more: Readonly<Record<string, string>> = {}): string {
  const words: Record<string, string> = { ...release.manifest.archs[arch]!.vars, arch, ...more };
  return source.replaceAll(/\{(\w+)\}/g, (whole, name: string) => words[name] ?? whole);
}

/** Whether a source is more than a file beside service.yaml. */
export function isUrl(source: string): boolean {
  return /^(https?|file|apt):/.test(source);
}

/** The guest's init runs /etc/rc, whoever brings it: the service's overlays, its hand-made root or its manifest. */
function hasRc({ files }: Service, folder: string, rootdir: string | undefined): boolean {
  const { content, source } = files?.['/etc/rc'] ?? {};
  if (content !== undefined || source !== undefined) return true;
  const places = [
    path.join(folder, 'etc'),
    path.join(folder, 'root', 'etc'),
    ...(rootdir ? [path.join(rootdir, 'etc')] : []),
  ];
  return places.some((place) => walk(place).some((entry) => entry.path === 'rc'));
}

function overridden(service: Service, arch: Arch): Service {
  const entry = Object.entries(service.overrides ?? {}).find(([name]) => archNamed(name) === arch);
  if (entry === undefined) return service;
  const [, override] = entry;
  return {
    ...service,
    ...override,
    ...(override.links && { links: { ...service.links, ...override.links } }),
    ...(override.files && { files: { ...service.files, ...override.files } }),
    ...(override.run && { run: { ...service.run, ...override.run } }),
  };
}
