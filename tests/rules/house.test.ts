import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { packageRoot } from '../../host/paths.ts';

/** The ranks of ARCHITECTURE.md: a folder imports itself and what is below it, never a neighbour. */
const RANKS: readonly (readonly string[])[] = [
  ['model'],
  ['host', 'formats'],
  ['cache', 'manifest', 'registry', 'report'],
  ['engine', 'vm'],
  ['tasks', 'fleet'],
  ['plan'],
  ['commands'],
  ['web'],
  ['cli'],
];
const FOLDERS = RANKS.flat();

/** The one file, or folder, that may import a package. */
const OWNERS: Readonly<Record<string, string>> = {
  zx: 'host/process.ts',
  got: 'host/http.ts',
  'proxy-agent': 'host/http.ts',
  'tar-stream': 'formats/tar',
  cacache: 'cache/',
  yaml: 'manifest/',
  'p-limit': 'engine/slots.ts',
  '@dagrejs/dagre': 'cli/drawing.ts',
  commander: 'cli/',
  leven: 'model/words.ts',
  picomatch: 'tasks/pick.ts',
  ws: 'web/consoles.ts',
  pbf: 'formats/actionresult.ts',
  '@node-rs/crc32': 'formats/crc32.ts',
};

interface Source {
  readonly file: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = FOLDERS.flatMap((folder) =>
  readdirSync(path.join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const file = `${folder}/${name}`;
      const text = readFileSync(path.join(packageRoot(), file), 'utf8');
      const imports = [...text.matchAll(/(?:from|import\() ?'([^']+)'/g)].map((match) => match[1]!);
      return {
        file,
        text,
        imports: imports.map((name) => (name.startsWith('.') ? path.join(path.dirname(file), name) : name)),
      };
    }),
);

function rankOf(file: string): number {
  return RANKS.findIndex((folders) => folders.includes(file.split('/')[0]!));
}

test('every folder of code has a rank', (t) => {
  const known = new Set([...FOLDERS, 'tests', 'bench', 'scripts', 'build', 'node_modules', 'images']);
  const folders = readdirSync(packageRoot(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !known.has(entry.name))
    .filter((entry) =>
      readdirSync(path.join(packageRoot(), entry.name), { recursive: true, encoding: 'utf8' }).some((name) =>
        name.endsWith('.ts'),
      ),
    );
  t.deepEqual(
    folders.map(({ name }) => name),
    [],
  );
});

test('imports go down only', (t) => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports
      .filter((name) => FOLDERS.includes(name.split('/')[0]!) && name.endsWith('.ts'))
      .filter((name) => name.split('/')[0] !== file.split('/')[0] && rankOf(name) >= rankOf(file))
      .map((name) => `${file} imports ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('no import leads back to where it came from', (t) => {
  const graph = new Map(sources.map(({ file, imports }) => [file, imports.filter((name) => name.endsWith('.ts'))]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]) => {
    if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
    if (done.has(file) || trail.includes(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  // Types that mention each other make no cycle at run time.
  const known = ['manifest/document.ts -> manifest/validate.ts', 'manifest/document.ts -> manifest/located.ts'];
  t.deepEqual(
    cycles.filter((cycle) => !known.some((each) => cycle.includes(each))),
    [],
  );
});

test('a package has one owner', (t) => {
  const wrong = sources.flatMap(({ file, imports }) =>
    imports
      .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0])
      .filter((name) => OWNERS[name] !== undefined && !file.startsWith(OWNERS[name]))
      .map((name) => `${file} imports ${name}, which belongs to ${OWNERS[name]}`),
  );
  t.deepEqual(wrong, []);
  const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as {
    dependencies: object;
  };
  t.deepEqual(Object.keys(manifest.dependencies).sort(), Object.keys(OWNERS).sort());
});

test('only report/ and cli/ write to the terminal', (t) => {
  const wrong = sources.filter(
    ({ file, text }) =>
      !/^(report|cli)\//.test(file) && /\bconsole\.(log|error|warn|info|debug)\(|process\.std(out|err)/.test(text),
  );
  t.deepEqual(
    wrong.map(({ file }) => file),
    [],
  );
});

test('steps see no clock, no working directory and no environment', (t) => {
  const wrong = sources.filter(
    ({ file, text }) =>
      file.startsWith('tasks/') && /process\.(env|cwd)|Date\.now|new Date\(|Math\.random|localeCompare/.test(text),
  );
  t.deepEqual(
    wrong.map(({ file }) => file),
    [],
  );
});

test('no service, release or kernel is named in code', (t) => {
  const names = ['services', 'sets', 'kernels'].flatMap((folder) =>
    readdirSync(path.join(packageRoot(), folder)).map((name) => name.replace(/\.(yaml|sh)$/, '')),
  );
  // Some are words too, or commands; the names of defaults are in the schemas.
  const words = 'smol debian base common debian-init hello amd64 i386 pipe games imgbuilder live'.split(' ');
  const looked = names.filter((name) => !words.includes(name));
  const wrong = sources.flatMap(({ file, text }) =>
    looked.filter((name) => new RegExp(`['"\`]${name}['"\`]`).test(text)).map((name) => `${file} names ${name}`),
  );
  t.deepEqual(wrong, []);
});

test('no file is long, and there is no attic', (t) => {
  // What is made from the schemas is read there.
  const written = sources.filter(({ text }) => !text.startsWith('// Made from '));
  t.deepEqual(
    written.filter(({ text }) => text.split('\n').length > 500).map(({ file }) => file),
    [],
  );
  t.deepEqual(
    sources.filter(({ file }) => /(^|\/)(utils?|helpers?|misc|common)(\/|\.ts$)/.test(file)).map(({ file }) => file),
    [],
  );
});
