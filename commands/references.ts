import { isReference, parseReference, type Reference } from '../formats/reference.ts';
import { Project } from '../manifest/project.ts';
import * as problems from '../model/problems.ts';

/** What is meant by a name on the command line: a reference as it is, or a name in the project's registry. Throws `no-registry` and `bad-reference`. */
export function referenceFor(text: string, project: Project | undefined): Reference {
  const registry = project?.config.value.registry;
  if (!isReference(text) && registry === undefined) throw problems.noRegistry(text);
  const whole = isReference(text) ? text : `${registry!.replace(/\/$/, '')}/${text}`;
  const reference = parseReference(whole);
  if (reference === undefined) throw problems.badReference(whole);
  return reference;
}

/** The same, in the project that a folder is in, if it is in one. */
export async function referenceFrom({ folder }: { readonly folder: string }, text: string): Promise<Reference> {
  return referenceFor(text, Project.has(folder) ? await Project.find(folder) : undefined);
}
