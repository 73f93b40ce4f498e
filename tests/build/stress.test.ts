import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { sha256 } from '../../host/files.ts';
import { packageRoot } from '../../host/paths.ts';
import { ETC, manyMembers, RESCUE } from '../rig/archives.ts';
import { Mirror } from '../rig/mirror.ts';
import { cleanEnvironment, exits, Sandbox } from '../rig/sandbox.ts';

/** Longer by hand: SMOL_STRESS_SECONDS=300 npm test -- tests/build/stress.test.ts */
const SECONDS = Number(process.env.SMOL_STRESS_SECONDS ?? 15);
const PROCESSES = 8;

/** Numbers that are the same in every run, so that a failure can be looked at again. */
function* dice(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

test.serial(
  'many processes, kills and a cache that is damaged under them: never a wrong image, never a dead lock',
  async (t) => {
    const mirror = await Mirror.start(t);
    const box = new Sandbox(t);
    box.write('smol.config.yaml', await mirror.serveNetbsd({ rescue: RESCUE, etc: ETC, base: manyMembers(2000) }));
    const services = { one: '[base, etc]', two: '[rescue, base]', three: '[etc]' };
    for (const [name, sets] of Object.entries(services)) {
      box.write(`services/${name}/service.yaml`, `description: x\nsets: ${sets}\nsize: 40M\n`);
      box.write(`services/${name}/etc/rc`, `#!/bin/sh\necho ${name}\n`);
    }
    const names = Object.keys(services);
    const image = (name: string) => box.path('images', `${name}-i386.img`);
    exits(t, await box.smol(['build', ...names, '--arch', 'i386']), 0);
    const right = new Map(names.map((name) => [name, sha256(readFileSync(image(name)))]));

    const roll = dice(1);
    const next = (n: number) => Math.floor(roll.next().value * n);
    const until = Date.now() + SECONDS * 1000;
    const counts = { built: 0, killed: 0, damaged: 0 };
    const failures: string[] = [];
    const builder = async () => {
      while (Date.now() < until) {
        const wanted = names.filter(() => next(2) === 0);
        const args = ['build', ...(wanted.length > 0 ? wanted : names), '--arch', 'i386'];
        const child = spawn(process.execPath, [path.join(packageRoot(), 'build/smol/main.js'), ...args], {
          cwd: box.folder,
          env: { ...cleanEnvironment(), SMOL_CACHE: box.cache },
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let stderr = '';
        child.stderr.on('data', (text) => {
          stderr += text;
        });
        const timer = next(3) === 0 ? setTimeout(() => child.kill('SIGKILL'), next(900)) : undefined;
        const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
          child.once('close', (...how) => resolve(how));
        });
        clearTimeout(timer);
        if (signal === 'SIGKILL') counts.killed++;
        else if (code === 0) counts.built++;
        else failures.push(stderr);
      }
    };
    const vandal = async () => {
      while (Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        try {
          const files = readdirSync(box.cache, { recursive: true, encoding: 'utf8' }).map((name) =>
            path.join(box.cache, name),
          );
          const victim = next(8) === 0 ? image(names[next(names.length)]!) : files[next(files.length)]!;
          if (!statSync(victim).isFile() || victim.includes('/locks/') || victim.endsWith('.lock')) continue;
          const bytes = readFileSync(victim);
          if (next(2) === 0 || bytes.length === 0) rmSync(victim);
          else {
            bytes[next(bytes.length)]! ^= 1 + next(255);
            writeFileSync(victim, bytes);
          }
          counts.damaged++;
        } catch {
          // somebody was faster
        }
      }
    };
    await Promise.all([...Array.from({ length: PROCESSES }, builder), vandal()]);
    t.log(`${counts.built} builds, ${counts.killed} killed, ${counts.damaged} files damaged or removed`);

    // When it is quiet again, everything is as it should be, and nothing is left lying about.
    const last = await box.smol(['build', ...names, '--arch', 'i386']);
    exits(t, last, 0);
    t.deepEqual(
      names.map((name) => sha256(readFileSync(image(name)))),
      names.map((name) => right.get(name)!),
    );
    t.deepEqual(failures, []);
    t.deepEqual(readdirSync(box.path('images')).sort(), names.map((name) => path.basename(image(name))).sort());
    const scratch = path.join(box.cache, 'scratch');
    t.deepEqual(existsSync(scratch) ? readdirSync(scratch) : [], []);
    t.true(counts.built > 0 && counts.killed > 0 && counts.damaged > 0);
  },
);
