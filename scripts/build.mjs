// Compiles smol to build/smol, and with `--tests` also the tests and benches. Types are checked by `npm run types`.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { validators } from './validators.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const out = path.join(root, 'build', 'smol');
const common = { absWorkingDir: root, bundle: true, platform: 'node', target: 'node20.19', logLevel: 'warning' };

/** What most starts do not need of Node, and what takes it milliseconds: it is loaded when something in it is first used. */
const LATE = /require\("(node:(?:child_process|fs\/promises|http|module|readline|tls|zlib))"\)/g;
const LATER = '(name) => new Proxy({}, { get: (_, key) => require(name)[key] })';

/** What most starts need is bundled, with all that it needs itself: loading it as packages costs more. The rest is loaded when it is used. */
const BUNDLED = ['commander', 'leven', 'p-limit', 'cacache/lib/content/write.js', 'ajv/dist/runtime/ucs2length'];

function external(bundled) {
  return {
    name: 'external packages',
    setup(context) {
      context.onResolve({ filter: /^[^./]/ }, ({ path: name, kind, importer }) => {
        if (kind === 'entry-point' || isBuiltin(name)) return undefined;
        const isBundled = bundled.includes(name) || importer.includes('/node_modules/');
        return isBundled ? undefined : { path: name, external: true };
      });
    },
  };
}

rmSync(out, { recursive: true, force: true });
// One CommonJS file starts 20 ms sooner than ES modules, and can be kept as V8 has compiled it: see entry.cjs. Code that
// was compiled there has no import() of its own, so it is given the entry's.
const { outputFiles } = await build({
  ...common,
  format: 'cjs',
  entryPoints: ['cli/main.ts'],
  write: false,
  // Half of it is indentation, which each start would read; names and lines stay for whoever reads a stack.
  minifyWhitespace: true,
  lineLimit: 160,
  plugins: [validators(root), external(BUNDLED)],
  define: { 'import.meta.url': '__url' },
  banner: { js: `const __late = ${LATER}; const __url = require('node:url').pathToFileURL(__filename).href;` },
});
mkdirSync(out, { recursive: true });
const code = outputFiles[0].text.replaceAll('await import("', 'await __import("').replace(LATE, '__late("$1")');
const program = `(function (exports, require, module, __filename, __dirname, __import) {${code}\n})`;
writeFileSync(path.join(out, 'program.js'), program);
writeFileSync(path.join(out, 'package.json'), '{ "type": "commonjs" }\n');
const entry = readFileSync(path.join(root, 'scripts', 'entry.cjs'), 'utf8');
const digest = createHash('sha256').update(program).digest('hex').slice(0, 32);
writeFileSync(path.join(out, 'main.js'), entry.replace('DIGEST_OF_PROGRAM', digest), { mode: 0o755 });

// The page of `smol ui`, with all that it is made of; what it needs only for a console is a file of its own.
await build({
  absWorkingDir: root,
  bundle: true,
  logLevel: 'warning',
  format: 'esm',
  splitting: true,
  minify: true,
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  alias: { react: 'preact/compat' },
  entryPoints: ['web/page/main.tsx'],
  outdir: path.join(out, 'page'),
  chunkNames: '[name]-[hash]',
});
for (const name of ['index.html', 'icon.svg'])
  cpSync(path.join(root, 'web', 'page', name), path.join(out, 'page', name));

if (process.argv.includes('--tests')) {
  rmSync(path.join(root, 'build', 'tests'), { recursive: true, force: true });
  rmSync(path.join(root, 'build', 'bench'), { recursive: true, force: true });
  const files = ['tests', 'bench'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .filter((name) => name.endsWith(folder === 'tests' ? '.test.ts' : '.ts'))
      .map((name) => path.join(folder, name)),
  );
  await build({
    ...common,
    format: 'esm',
    splitting: true,
    entryPoints: files,
    outbase: '.',
    outdir: 'build',
    plugins: [validators(root), external(['ajv/dist/runtime/ucs2length'])],
    sourcemap: 'inline',
  });
}
