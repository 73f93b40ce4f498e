#!/usr/bin/env node
// The command: smol's code, with what V8 made of it at an earlier start. Compiling anew would be half of a build that has
// nothing to do. It lies in smol's cache, since a package may belong to root.
const { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const vm = require('node:vm');

const file = path.join(__dirname, 'program.js');
const code = readFileSync(file, 'utf8');
const base = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
const folder = path.join(process.env.SMOL_CACHE || path.join(base, 'smol'), 'code');
const compiled = path.join(folder, `${process.version}-${process.arch}-${statSync(file).mtimeMs}-${code.length}`);

let cachedData;
try {
  cachedData = readFileSync(compiled);
} catch {
  // the first start
}
const script = new vm.Script(`(function (exports, require, module, __filename, __dirname, __import) {${code}\n})`, {
  filename: file,
  cachedData,
});
if (cachedData === undefined || script.cachedDataRejected) {
  process.once('exit', () => {
    try {
      // Where there is no cache yet, the first start is not what makes one.
      mkdirSync(folder);
    } catch {
      // there is one, or there can be none
    }
    try {
      writeFileSync(`${compiled}.${process.pid}`, script.createCachedData());
      renameSync(`${compiled}.${process.pid}`, compiled);
    } catch {
      // a cache that cannot be written only costs time
    }
  });
}
script.runInThisContext()(exports, require, module, file, __dirname, (name) => import(name));
