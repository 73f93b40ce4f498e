import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { isMissing } from '../host/files.ts';
import { cacheRoot, findUpwards, packageRoot } from '../host/paths.ts';
import type { Config, Kernel, Release, Service } from '../model/manifest.ts';
import type { Place, Problem } from '../model/problem.ts';
import { noProject, unknownKernel, unknownRelease, unknownService } from '../model/problems.ts';
import { type Manifest, readManifest } from './document.ts';
import type { SchemaName } from './validate.ts';

const CONFIG = 'smol.config.yaml';

/** A service with the folder that it is written in. */
export interface FoundService {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest<Service>;
}

/** The place of a name, asked for only if the name means nothing: to find it, the manifest is parsed again. */
type Where = () => Promise<Place | undefined>;

/** A folder with a smol.config.yaml: its own services, sets and kernels, and behind them those that come with smol. */
export class Project {
  readonly root: string;
  readonly config: Manifest<Config>;
  /** Where parsed manifests are remembered. */
  readonly memory: string;
  readonly #layers: readonly string[];
  readonly #manifests = new Map<string, Promise<Manifest<object>>>();

  private constructor(root: string, config: Manifest<Config>, memory: string) {
    this.root = root;
    this.config = config;
    this.memory = memory;
    this.#layers = [...new Set([root, packageRoot()])];
  }

  /** Whether a folder is in a project. */
  static has(folder: string): boolean {
    return findUpwards(CONFIG, folder) !== undefined;
  }

  /** The project that a folder is in. Throws `no-project`, and `Problems` of its configuration. */
  static async find(from: string): Promise<Project> {
    const root = findUpwards(CONFIG, from);
    if (root === undefined) throw noProject(from);
    const memory = path.join(cacheRoot(), 'manifests');
    return new Project(root, await readManifest<Config>(path.join(root, CONFIG), 'config', memory), memory);
  }

  /** State that belongs to the project and is not to be committed. */
  get state(): string {
    return path.join(this.root, '.smol');
  }

  /** Where its images go. */
  get images(): string {
    return path.join(this.root, 'images');
  }

  services(): string[] {
    return this.#names('services', (folder, name) => existsSync(path.join(folder, name, 'service.yaml')), '');
  }

  releases(): string[] {
    return this.#names('sets', () => true, '.yaml');
  }

  kernels(): string[] {
    return this.#names('kernels', () => true, '.yaml');
  }

  /** Throws `unknown-service`; `where` is where the name is written, if not on the command line. */
  async service(name: string, where?: Where): Promise<FoundService> {
    // A name is no path: it must not lead elsewhere.
    const file = /^[^/.][^/]*$/.test(name) ? this.find(`services/${name}/service.yaml`) : undefined;
    if (file === undefined) throw unknownService(name, this.services(), await where?.());
    return { name, folder: path.dirname(file), manifest: await this.#read<Service>(file, 'service') };
  }

  release(name: string, where: Where): Promise<Manifest<Release>> {
    return this.#catalogue(`sets/${name}.yaml`, 'release', async () =>
      unknownRelease(name, this.releases(), await where()),
    );
  }

  kernel(name: string, where: Where): Promise<Manifest<Kernel>> {
    return this.#catalogue(`kernels/${name}.yaml`, 'kernel', async () =>
      unknownKernel(name, this.kernels(), await where()),
    );
  }

  /** A file by its path within the project, or else within what comes with smol. */
  find(relative: string): string | undefined {
    return this.#layers.map((layer) => path.join(layer, relative)).find((file) => existsSync(file));
  }

  async #catalogue<T extends object>(
    relative: string,
    schema: 'release' | 'kernel',
    unknown: () => Promise<Problem>,
  ): Promise<Manifest<T>> {
    const file = this.find(relative);
    if (file === undefined) throw await unknown();
    return this.#read<T>(file, schema);
  }

  /** A manifest, read once however many targets share it. */
  #read<T extends object>(file: string, schema: SchemaName): Promise<Manifest<T>> {
    const known = this.#manifests.get(file) ?? readManifest<object>(file, schema, this.memory);
    this.#manifests.set(file, known);
    return known as Promise<Manifest<T>>;
  }

  #names(kind: string, isOne: (folder: string, name: string) => boolean, ending: string): string[] {
    const found = this.#layers.flatMap((layer) => {
      const folder = path.join(layer, kind);
      return list(folder).filter((name) => name.endsWith(ending) && isOne(folder, name));
    });
    return [...new Set(found.map((name) => name.slice(0, name.length - ending.length)))].sort();
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
