import { Project } from '../manifest/project.ts';
import type { Caller } from './session.ts';

export interface ListedService {
  readonly name: string;
  readonly description: string;
  /** Whether the project wrote it, or it came with smol. */
  readonly origin: 'project' | 'smol';
}

/** The services that can be built in a project. */
export async function listServices({ folder }: Caller): Promise<ListedService[]> {
  const project = await Project.find(folder);
  return Promise.all(
    project.services().map(async (name): Promise<ListedService> => {
      const { folder: at, manifest } = await project.service(name);
      return {
        name,
        description: manifest.value.description,
        origin: at.startsWith(project.root) ? 'project' : 'smol',
      };
    }),
  );
}
