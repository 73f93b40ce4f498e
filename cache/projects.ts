import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isMissing, readIfThere, sha256, writeAtomically } from '../host/files.ts';

/** The projects that use a cache, each a small file with its folder: what their images need is not evicted. */
export class Projects {
  readonly #folder: string;

  constructor(root: string) {
    this.#folder = path.join(root, 'projects');
  }

  /** Notes that a project uses the cache. */
  add(project: string): void {
    const file = path.join(this.#folder, sha256(project).slice(0, 16));
    if (existsSync(file)) return;
    writeAtomically(file, project);
  }

  /** The folders of those that still exist; the others are forgotten. */
  list(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.#folder);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
    return names.flatMap((name) => {
      const file = path.join(this.#folder, name);
      const project = readIfThere(file) ?? '';
      if (existsSync(project)) return [project];
      rmSync(file, { force: true });
      return [];
    });
  }
}
