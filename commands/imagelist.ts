import { statSync } from 'node:fs';
import path from 'node:path';
import { Project } from '../manifest/project.ts';
import { imagesOf } from './images.ts';
import type { Caller } from './session.ts';

export interface ListedImage {
  /** Its target: `rescue-i386`. */
  readonly name: string;
  readonly file: string;
  /** Bytes that it seems to have, and that it takes on the host's disk. */
  readonly size: number;
  readonly allocated: number;
  /** Milliseconds since 1970. */
  readonly written: number;
}

/** The images that a project has built, the newest first. */
export async function listImages({ folder }: Pick<Caller, 'folder'>): Promise<ListedImage[]> {
  const project = await Project.find(folder);
  return imagesOf(project)
    .map((name): ListedImage => {
      const file = path.join(project.images, `${name}.img`);
      const { size, blocks, mtimeMs } = statSync(file);
      return { name, file, size, allocated: blocks * 512, written: mtimeMs };
    })
    .sort((a, b) => b.written - a.written);
}
