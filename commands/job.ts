import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Scratch, sweepScratch } from '../engine/scratch.ts';
import type { Member } from '../formats/tarball.ts';
import { isFile, makeDirectory, pieces, walk } from '../host/files.ts';
import { stateRoot } from '../host/paths.ts';
import { Problem } from '../model/problem.ts';
import { jobUnfinished, noSuchFile, noSuchFolder } from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
import { JOB, JobConsole, JobOutput, makeOutputDisk, writeInputDisk } from '../vm/job.ts';
import { type RunOptions, registryFor, run } from './run.ts';
import type { Caller } from './session.ts';

export interface JobOptions extends RunOptions {
  /** The script that the guest's sh(1) runs. */
  readonly exec: string;
  /** A directory that the guest finds as its working directory, $IN. */
  readonly in?: string | undefined;
  /** Where what the guest left in $OUT goes. */
  readonly out?: string | undefined;
  /** How much that may be: `1G`. */
  readonly outSize?: string | undefined;
}

/**
 * Runs a script in a fresh VM of a service, in place of what the service does, and gives its exit code. Files go in and
 * come out as tar archives on disks of their own: nothing is shared, and nobody needs to be root. What the guest says while
 * the script runs is told as its console. Throws `job-unfinished` if the VM ended before the script did.
 */
export async function runJob(caller: Caller, options: JobOptions): Promise<number> {
  const { exec, out, outSize = '1G', in: input, ...rest } = options;
  const at = (file: string) => path.resolve(caller.folder, file);
  if (!isFile(at(exec))) throw noSuchFile(at(exec));
  if (input !== undefined && !existsSync(at(input))) throw noSuchFolder(at(input));
  const jobs = makeDirectory(path.join(stateRoot(), 'jobs'));
  await sweepScratch(jobs);
  await using scratch = new Scratch(jobs);
  const folder = await scratch.get();
  const [inDisk, outDisk] = [path.join(folder, 'in.img'), path.join(folder, 'out.img')];
  await writeInputDisk(inDisk, membersOf(input === undefined ? undefined : at(input)));
  makeOutputDisk(outDisk, parseSize(outSize));
  const heard = new JobConsole();
  const emit: Caller['emit'] = (event) => {
    if (event.type === 'vm-console') {
      const said = heard.hear(event.bytes);
      if (said !== '') caller.emit({ ...event, bytes: Buffer.from(said, 'latin1') });
    } else if (event.type !== 'vm-ready') caller.emit(event);
  };
  const name = rest.name ?? path.basename(folder).replace(/^\.smol-scratch/, 'job');
  try {
    await run(
      { ...caller, emit },
      {
        ...rest,
        name,
        files: { ...rest.files, [JOB]: at(exec) },
        drives: [...(rest.drives ?? []), inDisk, outDisk],
        ports: rest.ports ?? [],
      },
    );
  } catch (error) {
    // A job may be over before the service would have been up.
    if (!(error instanceof Problem && error.code === 'guest-exited')) throw error;
  }
  using output = await JobOutput.open(outDisk, outSize);
  if (output === undefined) throw jobUnfinished(heard.tail);
  if (out !== undefined) unpack(output, makeDirectory(at(out)));
  // Its console has been told.
  rmSync((await registryFor(caller)).folder(name), { recursive: true, force: true });
  return output.status;
}

async function* membersOf(folder: string | undefined): AsyncGenerator<Member> {
  for (const { path: name, type } of folder === undefined ? [] : walk(folder)) {
    const file = path.join(folder!, name);
    const { mode, size } = lstatSync(file);
    const member = { name, mode: mode & 0o7777, content: pieces(file) };
    if (type === 'file') yield { ...member, size };
    if (type === 'directory') yield { ...member, type, size: 0 };
    if (type === 'symlink') yield { ...member, type, size: 0, target: readlinkSync(file) };
  }
}

/** Links come last, so that no file is written by way of one that the guest made. */
function unpack(output: JobOutput, folder: string): void {
  for (const entry of output.entries) {
    const file = path.join(folder, entry.path);
    if (entry.type === 'directory') mkdirSync(file, { recursive: true });
    if (entry.type !== 'file') continue;
    mkdirSync(path.dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(file, output.read(entry), { mode: entry.mode & 0o777, flag: 'wx' });
  }
  for (const entry of output.entries) {
    if (entry.type !== 'symlink') continue;
    rmSync(path.join(folder, entry.path), { force: true });
    symlinkSync(entry.target, path.join(folder, entry.path));
  }
}
