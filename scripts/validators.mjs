// Compiles the schemas into code, as the module `smol:validators`: ajv and its compiler would take 75 ms of a start.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { _, Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';

/** An esbuild plugin. `root` is the repository. */
export function validators(root) {
  return {
    name: 'validators',
    setup(context) {
      context.onResolve({ filter: /^smol:validators$/ }, ({ path: name }) => ({ path: name, namespace: 'validators' }));
      context.onLoad({ filter: /./, namespace: 'validators' }, () => ({
        contents: codeOf(path.join(root, 'schema')),
        resolveDir: path.join(root, 'manifest'),
      }));
    },
  };
}

function codeOf(folder) {
  const ajv = new Ajv({
    allErrors: true,
    // errors bring the schema that they break, for the words of the message
    verbose: true,
    useDefaults: true,
    allowUnionTypes: true,
    // what stands for it in the code is manifest/formats.ts
    formats: { regex: () => true },
    code: { source: true, esm: true, formats: _`require("./formats.ts")` },
  });
  const names = readdirSync(folder).map((file) => path.basename(file, '.schema.json'));
  for (const name of names) {
    const text = readFileSync(path.join(folder, `${name}.schema.json`), 'utf8');
    ajv.addSchema({ ...JSON.parse(text), $id: name });
  }
  return `${standalone.default(ajv, Object.fromEntries(names.map((name) => [name, name])))}
export default { ${names} };`;
}
