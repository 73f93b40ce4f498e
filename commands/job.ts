import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Scratch, sweepScratch } from '../engine/scratch.ts';
import { TarIndexer } from '../formats/tar.ts';
import { type Member, writeTarball } from '../formats/tarball.ts';
import { isFile, makeDirectory, pieces, walk } from '../host/files.ts';
import { stateRoot } from '../host/paths.ts';
import type { Entry } from '../model/artifact.ts';
import { Problem } from '../model/problem.ts';
import { jobTooLarge, jobUnfinished, noSuchFile, noSuchFolder } from '../model/problems.ts';
import { parseSize } from '../model/words.ts';
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

/** Both disks begin with a block of this size, whose first line says what the disk is; a tar follows. */
const HEADER = 64 * 1024;
const STATUS = '.smol-status';
const BEGIN = 'smol: the job begins\r\n';
const END = 'smol: the job ends\r\n';

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
  await writeInput(inDisk, input === undefined ? undefined : at(input));
  begin(outDisk, 'smol-job-out\n', parseSize(outSize));
  const heard = new Listener(caller.emit);
  const name = rest.name ?? path.basename(folder).replace(/^\.smol-scratch/, 'job');
  try {
    await run(
      { ...caller, emit: heard.emit },
      {
        ...rest,
        name,
        files: { ...rest.files, job: at(exec) },
        drives: [...(rest.drives ?? []), inDisk, outDisk],
        ports: rest.ports ?? [],
      },
    );
  } catch (error) {
    // A job may be over before the service would have been up.
    if (!(error instanceof Problem && error.code === 'guest-exited')) throw error;
  }
  const status = await collect(outDisk, out === undefined ? undefined : at(out), outSize);
  if (status === undefined) throw jobUnfinished(heard.tail);
  // Its console has been told.
  rmSync((await registryFor(caller)).folder(name), { recursive: true, force: true });
  return status;
}

/** Passes on what the guest says between the first line of the job and its last. */
class Listener {
  tail = '';
  #isOn = false;
  #held = '';
  readonly #emit: Caller['emit'];

  constructor(emit: Caller['emit']) {
    this.#emit = emit;
  }

  readonly emit: Caller['emit'] = (event) => {
    if (event.type !== 'vm-console') {
      if (event.type !== 'vm-ready') this.#emit(event);
      return;
    }
    const text = Buffer.from(event.bytes).toString('latin1');
    this.tail = (this.tail + text).slice(-4000);
    this.#held += text;
    if (!this.#isOn) {
      const at = this.#held.indexOf(BEGIN);
      if (at < 0) return;
      this.#isOn = true;
      this.#held = this.#held.slice(at + BEGIN.length);
    }
    const end = this.#held.indexOf(END);
    // What may be the beginning of the last line waits for the rest of it.
    const length = end >= 0 ? end : Math.max(0, this.#held.lastIndexOf('\n', this.#held.length) + 1);
    const said = this.#held.slice(0, length);
    this.#held = end >= 0 ? '' : this.#held.slice(length);
    if (end >= 0) this.#isOn = false;
    if (said !== '') this.#emit({ ...event, bytes: Buffer.from(said.replaceAll('\r\n', '\n'), 'latin1') });
  };
}

function begin(file: string, line: string, size: number): void {
  const handle = openSync(file, 'w', 0o600);
  writeSync(handle, line);
  ftruncateSync(handle, size);
  closeSync(handle);
}

async function writeInput(file: string, folder: string | undefined): Promise<void> {
  begin(file, 'smol-job-in\n', HEADER);
  const tar = writeTarball(membersOf(folder));
  await pipeline(Readable.from(tar), createWriteStream(file, { flags: 'r+', start: HEADER }));
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

/** Unpacks what the guest left, if that is wanted, and gives the exit code of the job; undefined if it left nothing. */
async function collect(disk: string, folder: string | undefined, room: string): Promise<number | undefined> {
  const handle = await open(disk);
  try {
    const bytes = async (position: number, size: number) =>
      (await handle.read(Buffer.alloc(size), 0, size, position)).buffer;
    const blocks = /^smol-job-done (\d+)\n/.exec((await bytes(0, 512)).toString('latin1'))?.[1];
    if (blocks === undefined) return undefined;
    const entries = await entriesOn(disk, Number(blocks) * HEADER).catch(() => {
      throw jobTooLarge(room);
    });
    const read = ({ offset, size }: { offset: number; size: number }) => bytes(HEADER + offset, size);
    const status = entries.find((entry) => entry.path === STATUS);
    if (status?.type !== 'file') throw jobTooLarge(room);
    const left = entries.filter((entry) => entry !== status);
    if (folder !== undefined) await unpack(left, makeDirectory(folder), read);
    return Number((await read(status.content)).toString());
  } finally {
    await handle.close();
  }
}

/** What the archive on a disk holds, which is somewhere in so many bytes. Throws if it goes on after them. */
async function entriesOn(disk: string, length: number): Promise<Entry[]> {
  const tar = await TarIndexer.open('what the job left');
  const stream = createReadStream(disk, { start: HEADER, end: HEADER + length - 1, highWaterMark: 1024 * 1024 });
  for await (const chunk of stream) await tar.write(chunk as Buffer);
  return (await tar.end())('');
}

/** Links come last, so that no file is written by way of one that the guest made. */
async function unpack(
  entries: readonly Entry[],
  folder: string,
  read: (content: { offset: number; size: number }) => Promise<Buffer>,
): Promise<void> {
  for (const entry of entries) {
    const file = path.join(folder, entry.path);
    if (entry.type === 'directory') mkdirSync(file, { recursive: true });
    if (entry.type !== 'file') continue;
    mkdirSync(path.dirname(file), { recursive: true });
    rmSync(file, { force: true });
    writeFileSync(file, await read(entry.content), { mode: entry.mode & 0o777, flag: 'wx' });
  }
  for (const entry of entries) {
    if (entry.type !== 'symlink') continue;
    rmSync(path.join(folder, entry.path), { force: true });
    symlinkSync(entry.target, path.join(folder, entry.path));
  }
}
