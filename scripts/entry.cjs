#!/usr/bin/env node
// The command: smol's code, with what V8 made of it at an earlier start. Compiling anew would be half of a build that has
// nothing to do. It lies in smol's cache, since a package may belong to root, by the digest of the program, which the build
// puts in below; after its own digest, since V8 would run whatever became of it.
const { createHash } = require('node:crypto');
const { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setFlagsFromString } = require('node:v8');
const vm = require('node:vm');

// V8 forgets what it compiled of functions that have long not run: when the program ends, that is what a start needs.
setFlagsFromString('--no-flush-bytecode');
// Most of what a build makes lives until its end. A young generation that grows with it only costs memory, and each fresh
// page of that more time than a collection.
setFlagsFromString('--semi-space-growth-factor=1');
// Most of a build is over before it would gain by being optimized, which takes the processors that it runs on: four times
// V8's own budget until then. Later ones have a faster compiler in between, and no such flag.
if (process.version.startsWith('v20.')) setFlagsFromString('--interrupt-budget=300000');

const file = path.join(__dirname, 'program.js');
const base = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
const folder = path.join(process.env.SMOL_CACHE || path.join(base, 'smol'), 'code');
const digestOf = (data) => createHash('sha256').update(data).digest();
// Each command has its own: V8 compiles what runs, and that differs.
const command = /^[a-z]+$/.exec(process.argv[2] ?? '')?.[0] ?? '';
const compiled = path.join(folder, `${process.version}-${process.arch}-DIGEST_OF_PROGRAM-${command}`);

/** What was compiled at an earlier start, if there was one and not a bit of it has changed, and whether that one ran steps. */
function known() {
  try {
    const kept = readFileSync(compiled);
    const data = kept.subarray(DIGEST);
    const isWhole = digestOf(data).equals(kept.subarray(0, DIGEST));
    return isWhole ? { cachedData: data.subarray(0, -1), worked: data.at(-1) === 1 } : undefined;
  } catch {
    return undefined;
  }
}

const DIGEST = 32;
const WEEK_MS = 7 * 24 * 3600 * 1000;
const { cachedData, worked } = known() ?? {};
// It is ASCII, and read in half the time as that.
const script = new vm.Script(readFileSync(file, 'latin1'), { filename: file, cachedData });
const isUsed = cachedData !== undefined && !script.cachedDataRejected;
if (!isUsed || !worked) {
  process.once('exit', () => {
    const { hasWorked } = module.exports;
    if (isUsed && !hasWorked) return;
    try {
      // Where there is no cache yet, the first start is not what makes one.
      mkdirSync(folder);
    } catch {
      // there is one, or there can be none
    }
    try {
      const data = Buffer.concat([script.createCachedData(), Buffer.of(hasWorked ? 1 : 0)]);
      writeFileSync(`${compiled}.${process.pid}`, Buffer.concat([digestOf(data), data]));
      renameSync(`${compiled}.${process.pid}`, compiled);
      for (const name of readdirSync(folder).map((each) => path.join(folder, each))) {
        if (Date.now() - statSync(name).mtimeMs > WEEK_MS) rmSync(name);
      }
    } catch {
      // a cache that cannot be written only costs time
    }
  });
}
script.runInThisContext()(exports, require, module, file, __dirname, (name) => import(name));
