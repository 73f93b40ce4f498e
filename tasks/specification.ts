import { ENTRY_TYPES, type MtreeEntry, parseMtree } from '../formats/mtree.ts';
import { numberOf, numbersOf } from '../formats/passwd.ts';
import { withParents } from '../formats/tree.ts';
import type { Blob, Entry, Tree, TreeArtifact } from '../model/artifact.ts';
import { badSpecification } from '../model/problems.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { textOf } from './text.ts';

interface Options {
  /** The file, for messages. */
  readonly file: string;
}

/**
 * A tree as a specification of mtree(8) says that it is to be: owners and modes, and the directories, links, devices and
 * pipes that it names; as `mtree -U` would do it, without being root. Names of users and groups are those that the tree
 * itself has in its passwd and group files, or else those of the tree below it. Throws `bad-mtree`.
 */
export const specification: Task = {
  kind: 'specification',
  version: 1,
  summary: 'a tree with the owners, modes and devices of an mtree specification',
  pool: 'cpu',
  async run(context: StepContext) {
    const { file } = context.options as unknown as Options;
    const { tree: input, names, specification: text } = context.inputs;
    const { store } = context;
    const tree = await store.readTree(input as TreeArtifact);
    const below = names === undefined ? [] : await store.readTree(names as TreeArtifact);
    const [users, groups] = await Promise.all([
      namesIn([tree, below], ['etc/master.passwd', 'etc/passwd'], 'root', context),
      namesIn([tree, below], ['etc/group'], 'wheel', context),
    ]);
    const entries = new Map(tree.map((entry) => [entry.path, entry]));
    for (const wanted of parsed((await store.readBytes((text as Blob).digest)).toString(), file)) {
      const fail = (why: string) => badSpecification(file, wanted.line, why);
      const id = (name: string | undefined, known: ReadonlyMap<string, number>, what: string) => {
        if (name === undefined) return undefined;
        const number = numberOf(name, known);
        if (number === undefined) throw fail(`there is no ${what} ${name} in the sets or the rootdir`);
        return number;
      };
      const entry = entries.get(wanted.path) ?? made(wanted, fail);
      if (entry === undefined) continue;
      if (wanted.type !== undefined && ENTRY_TYPES[wanted.type] !== entry.type) {
        throw fail(`/${wanted.path} is a ${entry.type}, not a ${ENTRY_TYPES[wanted.type] ?? wanted.type}`);
      }
      entries.set(wanted.path, {
        ...entry,
        mode: wanted.mode ?? entry.mode,
        uid: id(wanted.user, users, 'user') ?? entry.uid,
        gid: id(wanted.group, groups, 'group') ?? entry.gid,
        ...(entry.type === 'symlink' && wanted.link !== undefined && { target: wanted.link }),
      });
    }
    const all = withParents(entries.values());
    return store.putTree(entries.has('') ? all : all.filter(({ path }) => path !== ''));
  },
};

/** `file` is the specification's name for people; `names` a tree whose users and groups are known. */
export function specificationStep(
  label: string,
  tree: Step,
  spec: { readonly file: string; readonly fetched: Step },
  names: Step | undefined,
): Step {
  return {
    name: `specification of ${label}`,
    task: specification,
    options: { file: spec.file },
    inputs: { tree, specification: spec.fetched, ...(names && { names }) },
  };
}

function parsed(text: string, file: string): MtreeEntry[] {
  try {
    return parseMtree(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw badSpecification(file, 0, error.message);
    throw error;
  }
}

/** What the tree does not have, but the specification describes; undefined if it need not be there. */
function made(wanted: MtreeEntry, fail: (why: string) => Error): Entry | undefined {
  const { path, type, link, device, optional } = wanted;
  const base = { path, mode: type === 'dir' ? 0o755 : 0o644, uid: 0, gid: 0 };
  if (type === 'dir') return { ...base, type: 'directory' };
  if (type === 'fifo') return { ...base, type: 'fifo' };
  if (type === 'link' && link !== undefined) return { ...base, mode: 0o777, type: 'symlink', target: link };
  if ((type === 'char' || type === 'block') && device !== undefined) {
    return { ...base, mode: 0o600, type: type === 'char' ? 'character' : 'block', ...device };
  }
  if (optional) return undefined;
  throw fail(
    type === undefined || type === 'file'
      ? `the rootdir has no file /${path}`
      : `/${path} cannot be made: a ${type} needs ${type === 'link' ? 'link=' : 'device='}`,
  );
}

/** Users or groups by name; those of the first tree go first. */
async function namesIn(
  trees: readonly Tree[],
  paths: readonly string[],
  zero: string,
  context: StepContext,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const tree of [...trees].reverse()) {
    for (const path of paths) {
      const text = await textOf(tree, path, context);
      for (const [name, number] of text === undefined ? [] : numbersOf(text, zero)) found.set(name, number);
    }
  }
  return new Map([[zero, 0], ...found]);
}
