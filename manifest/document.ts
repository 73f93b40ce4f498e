import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readChecked, remember } from '../host/checked.ts';
import { readIfThere, sha256 } from '../host/files.ts';
import { packageRoot } from '../host/paths.ts';
import { type Place, Problems } from '../model/problem.ts';
import { emptyManifest, noSuchFile, notYaml } from '../model/problems.ts';
import type { SchemaName } from './validate.ts';

/** Where in a document: keys and indexes from its root. */
export type Path = readonly (string | number)[];

/** A manifest that is valid by its schema. */
export interface Manifest<T> {
  readonly file: string;
  readonly value: T;
  /** The place of what is at a path, or of its key. Reads the file again: only for messages. */
  place(at: Path, part?: 'key' | 'value'): Promise<Place>;
}

/**
 * Reads a YAML file and checks it by its schema. Throws `Problems` with every mistake in it. Parsing is slow, so what
 * was found valid is remembered in `memory` by the digest of text and schema.
 */
export async function readManifest<T extends object>(
  file: string,
  schema: SchemaName,
  memory: string,
): Promise<Manifest<T>> {
  const text = readIfThere(file);
  if (text === undefined) throw noSuchFile(file);
  const remembered = path.join(memory, `${sha256(schemaText(schema), '\0', text)}.json`);
  let value = readChecked<T>(remembered);
  if (value === undefined) {
    value = await parse<T>(file, text, schema);
    remember(remembered, value);
  }
  return {
    file,
    value,
    place: async (at, part = 'value') => {
      const { Located } = await import('./located.ts');
      return new Located(file, text).place(at, part);
    },
  };
}

function schemaText(schema: SchemaName): string {
  return readFileSync(path.join(packageRoot(), 'schema', `${schema}.schema.json`), 'utf8');
}

async function parse<T extends object>(file: string, text: string, schema: SchemaName): Promise<T> {
  const [{ Located }, { validate }] = await Promise.all([import('./located.ts'), import('./validate.ts')]);
  const located = new Located(file, text);
  const broken = located.errors.map(({ place, message }) => notYaml(place, message));
  if (broken.length > 0) throw new Problems(broken);
  if (located.value === null) throw emptyManifest(file, `${schema}.schema.json`);
  const problems = validate(schema, located);
  if (problems.length > 0) throw new Problems(problems);
  return located.value as T;
}
