import { closeSync, createReadStream, createWriteStream, ftruncateSync, openSync, writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TarIndexer } from '../formats/tar.ts';
import { type Member, writeTarball } from '../formats/tarball.ts';
import { ImageFile } from '../host/imagefile.ts';
import type { Entry, FileEntry } from '../model/artifact.ts';
import { jobTooLarge } from '../model/problems.ts';

/**
 * A job in a guest: a script that it runs in place of what its service does. Files go in and come out as tar archives on
 * disks of their own: nothing is shared, and nobody needs to be root. services/common/job is the other end.
 */

/** The name of the file, among those that the guest is told, that is the script. */
export const JOB = 'job';
/** Both disks begin with a block of this size, whose first line says what the disk is; a tar follows. */
const HEADER = 64 * 1024;
const STATUS = '.smol-status';
const BEGIN = 'smol: the job begins\r\n';
const END = 'smol: the job ends\r\n';

/** The disk with what the job finds in $IN. */
export async function writeInputDisk(file: string, members: AsyncIterable<Member>): Promise<void> {
  begin(file, 'smol-job-in\n', HEADER);
  await pipeline(Readable.from(writeTarball(members)), createWriteStream(file, { flags: 'r+', start: HEADER }));
}

/** The disk for what the job leaves in $OUT, with room for so many bytes. */
export function makeOutputDisk(file: string, size: number): void {
  begin(file, 'smol-job-out\n', size);
}

function begin(file: string, line: string, size: number): void {
  const handle = openSync(file, 'w', 0o600);
  writeSync(handle, line);
  ftruncateSync(handle, size);
  closeSync(handle);
}

/** What a job left. */
export class JobOutput implements Disposable {
  /** The exit code of its script. */
  readonly status: number;
  readonly entries: readonly Entry[];
  readonly #disk: ImageFile;

  /** What is on its disk; undefined if it left nothing. Throws `job-too-large` if it is more than the disk has room for. */
  static async open(disk: string, room: string): Promise<JobOutput | undefined> {
    const source = new ImageFile(disk);
    const blocks = /^smol-job-done (\d+)\n/.exec(source.read(0, 512).toString('latin1'))?.[1];
    if (blocks === undefined) {
      source[Symbol.dispose]();
      return undefined;
    }
    const entries = await entriesOn(disk, Number(blocks) * HEADER).catch(() => {
      throw jobTooLarge(room);
    });
    const status = entries.find((entry) => entry.path === STATUS);
    if (status?.type !== 'file') throw jobTooLarge(room);
    return new JobOutput(source, entries, status);
  }

  private constructor(disk: ImageFile, entries: readonly Entry[], status: FileEntry) {
    this.#disk = disk;
    this.entries = entries.filter((entry) => entry !== status);
    this.status = Number(this.read(status).toString());
  }

  read({ content: { offset, size } }: FileEntry): Buffer {
    return this.#disk.read(HEADER + offset, size);
  }

  [Symbol.dispose](): void {
    this.#disk[Symbol.dispose]();
  }
}

/** What the archive on a disk holds, which is somewhere in so many bytes. Throws if it goes on after them. */
async function entriesOn(disk: string, length: number): Promise<Entry[]> {
  const tar = await TarIndexer.open('what the job left');
  const stream = createReadStream(disk, { start: HEADER, end: HEADER + length - 1, highWaterMark: 1024 * 1024 });
  for await (const chunk of stream) await tar.write(chunk as Buffer);
  return (await tar.end())('');
}

/** Tells what the job says from what the guest says before and after it. */
export class JobConsole {
  /** The end of all that the guest said. */
  tail = '';
  #isOn = false;
  #held = '';

  /** Whether the job has begun and not ended. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** What the job said, of all that is known to be its by now: whole lines. */
  hear(bytes: Uint8Array): string {
    const text = Buffer.from(bytes).toString('latin1');
    this.tail = (this.tail + text).slice(-4000);
    this.#held += text;
    if (!this.#isOn) {
      const at = this.#held.indexOf(BEGIN);
      if (at < 0) return '';
      this.#isOn = true;
      this.#held = this.#held.slice(at + BEGIN.length);
    }
    const end = this.#held.indexOf(END);
    // What may be the beginning of the last line waits for the rest of it.
    const length = end >= 0 ? end : this.#held.lastIndexOf('\n') + 1;
    const said = this.#held.slice(0, length);
    this.#held = end >= 0 ? '' : this.#held.slice(length);
    if (end >= 0) this.#isOn = false;
    return said.replaceAll('\r\n', '\n');
  }
}
