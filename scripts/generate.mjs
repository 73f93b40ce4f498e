// Writes what is made from the schemas in schema/: their types, model/manifest.ts, and the tables of docs/manifests.md.
// `--check` only compares.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';

const root = new URL('..', import.meta.url);
const MARK = '<!-- made from schema/ by npm run generate -->\n';

const schemas = [];
for (const name of (await readdir(new URL('schema/', root))).sort()) {
  const schema = JSON.parse(await readFile(new URL(`schema/${name}`, root), 'utf8'));
  // $id would make the compiler look for other files; the title names the type.
  delete schema.$id;
  schemas.push(schema);
}

await make('model/manifest.ts', async () => {
  const parts = [];
  for (const schema of schemas) {
    parts.push(
      await compile(structuredClone(schema), schema.title, {
        bannerComment: '',
        additionalProperties: false,
        cwd: root.pathname,
      }),
    );
  }
  return `// Made from schema/*.schema.json by \`npm run generate\`. Do not edit.\n\n${parts.join('\n')}`;
});

await make('docs/manifests.md', async (before) => {
  const head = before.slice(0, before.indexOf(MARK) + MARK.length);
  return head + schemas.map((schema) => `\n## ${schema.description}\n\n${table(schema, schema, '')}`).join('');
});

/** Writes a file, or with --check complains if it is not as it would be written. */
async function make(name, content) {
  const target = new URL(name, root);
  const before = await readFile(target, 'utf8').catch(() => '');
  const text = await content(before);
  if (text === before) return;
  if (!process.argv.includes('--check')) return writeFile(target, text);
  console.error(`${name} is older than the schemas: run \`npm run generate\``);
  process.exitCode = 1;
}

/** The keys of an object as a Markdown table; those of objects in it follow, with their path. */
function table(schema, document, prefix) {
  const rows = rowsOf(schema, document, prefix);
  return `| key | is | meaning |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function rowsOf(schema, document, prefix) {
  return Object.entries(schema.properties ?? {}).flatMap(([key, raw]) => {
    const value = resolve(raw, document);
    const nested = [...rowsOf(value, document, `${prefix}${key}.`)];
    const entry =
      typeof value.additionalProperties === 'object' ? resolve(value.additionalProperties, document) : undefined;
    // An override has the keys of a service again: their meaning is told once.
    if (entry && key !== 'overrides') nested.push(...rowsOf(entry, document, `${prefix}${key}.*.`));
    const required = schema.required?.includes(key) ? ' **required**' : '';
    // A mapping's default is that of its keys.
    const fallback =
      value.default === undefined || typeof value.default === 'object' ? '' : ` Default: \`${value.default}\`.`;
    return [
      `| \`${prefix}${key}\` | ${kindOf(value)}${required} | ${cell(value.description ?? '')}${fallback} |`,
      ...nested,
    ];
  });
}

function resolve(schema, document) {
  if (schema.$ref === undefined) return schema;
  const { $ref, ...rest } = schema;
  return { ...document.definitions[$ref.split('/').at(-1)], ...rest };
}

function kindOf({ type, enum: values, items, const: constant }) {
  if (constant !== undefined) return `\`${constant}\``;
  if (values) return values.map((value) => `\`${value}\``).join(' or ');
  if (type === 'array') return items.enum ? `list of ${kindOf(items)}` : `list of ${items.type ?? 'string'}s`;
  return [type]
    .flat()
    .map((name) => ({ object: 'mapping', integer: 'whole number' })[name] ?? name)
    .join(' or ');
}

function cell(text) {
  return text.replaceAll('|', '\\|');
}
