// Compiles smol to build/smol, and with `--tests` also the tests and benches. Types are checked by `npm run types`.
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const common = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
};

/** What every start needs is bundled: loading it as packages costs more. The rest is loaded when it is used. */
const BUNDLED = ['commander', 'leven', 'p-limit', 'yocto-queue'];

function external() {
  return {
    name: 'external packages',
    setup(context) {
      context.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) => {
        if (kind === 'entry-point') return undefined;
        return BUNDLED.includes(name) ? undefined : { path: name, external: true };
      });
    },
  };
}

rmSync(path.join(root, 'build', 'smol'), { recursive: true, force: true });
await build({
  ...common,
  entryPoints: ['cli/main.ts'],
  outdir: 'build/smol',
  entryNames: 'main',
  chunkNames: 'chunks/[name]-[hash]',
  plugins: [external()],
  // commander is CommonJS and asks for Node's own modules by require().
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});

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
    entryPoints: files,
    outbase: '.',
    outdir: 'build',
    packages: 'external',
    sourcemap: 'inline',
  });
}
