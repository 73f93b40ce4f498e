// Writes model/manifest.ts, the types of what the schemas in schema/ describe. `--check` only compares.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';

const root = new URL('..', import.meta.url);
const parts = [];
for (const name of (await readdir(new URL('schema/', root))).sort()) {
  const schema = JSON.parse(await readFile(new URL(`schema/${name}`, root), 'utf8'));
  // $id would make the compiler look for other files; the title names the type.
  delete schema.$id;
  parts.push(
    await compile(schema, schema.title, { bannerComment: '', additionalProperties: false, cwd: root.pathname }),
  );
}
const text = `// Made from schema/*.schema.json by \`npm run generate\`. Do not edit.\n\n${parts.join('\n')}`;
const target = new URL('model/manifest.ts', root);
if (process.argv.includes('--check')) {
  if ((await readFile(target, 'utf8')) !== text) {
    console.error('model/manifest.ts is older than the schemas: run `npm run generate`');
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}
