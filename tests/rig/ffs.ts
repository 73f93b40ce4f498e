import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type { FoundEntry } from './debugfs.ts';

/**
 * FFS images as NetBSD's headers say they are (sys/ufs/ffs/fs.h, sys/ufs/ufs/dinode.h and dir.h), read without any code
 * of the writer's; and checked as fsck_ffs(8) would: what is reachable against what is marked as used, and all counts.
 */
export interface FoundFfs {
  readonly entries: Map<string, FoundEntry & { links: number }>;
  readonly complaints: string[];
  readonly version: 1 | 2;
}

const TYPES: Record<number, FoundEntry['type']> = { 8: 'file', 4: 'directory', 10: 'symlink' };
const DT: Record<number, number> = { 1: 0o01, 2: 0o02, 4: 0o04, 6: 0o06, 8: 0o10, 10: 0o12 };

export function readFfs(image: string, offset: number): FoundFfs {
  const file = openSync(image, 'r');
  try {
    return new Reader(file, offset).all();
  } finally {
    closeSync(file);
  }
}

interface Dinode {
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly sectors: number;
  readonly raw: Buffer;
  readonly pointers: number[];
}

class Reader {
  readonly #file: number;
  readonly #offset: number;
  readonly #sb: Buffer;
  readonly #version: 1 | 2;
  readonly #used: Uint8Array;
  readonly #seen = new Map<number, number>();
  readonly complaints: string[] = [];

  constructor(file: number, offset: number) {
    this.#file = file;
    this.#offset = offset;
    const at = [65536, 8192].find((where) =>
      [0x19540119, 0x011954].includes(this.#read(where + 1372, 4).readInt32LE()),
    );
    if (at === undefined) throw new Error('no superblock');
    this.#sb = this.#read(at, 8192);
    this.#version = this.#int(1372) === 0x011954 ? 1 : 2;
    if (this.#long(1000) !== at) this.#complain('fs_sblockloc', this.#long(1000), at);
    this.#used = new Uint8Array(this.#long(1080));
  }

  all(): FoundFfs {
    const entries = new Map<string, FoundEntry & { links: number }>();
    const directories: [string, number, number][] = [['', 2, 2]];
    for (const [path, number, parent] of directories) {
      const dinode = this.#dinode(number);
      const content = Buffer.concat(this.#content(dinode));
      let dots = 0;
      for (let chunk = 0; chunk < content.length; chunk += 512) {
        for (let at = chunk; at < chunk + 512; ) {
          const [ino, length, type, name] = [
            content.readUInt32LE(at),
            content.readUInt16LE(at + 4),
            content[at + 6]!,
            content.toString('utf8', at + 8, at + 8 + content[at + 7]!),
          ];
          if (length < 8 || at + length > chunk + 512) throw new Error(`/${path}: a bad entry at ${at}`);
          at += length;
          if (ino === 0) continue;
          if (name === '.' || name === '..') {
            if (ino !== (name === '.' ? number : parent)) this.#complain(`/${path}/${name}`, ino, number);
            dots++;
            this.#count(ino);
            continue;
          }
          const full = path === '' ? name : `${path}/${name}`;
          const child = this.#dinode(ino);
          if (child.mode >> 12 !== DT[type]) this.#complain(`/${full}: type`, type, child.mode >> 12);
          const isFirst = !this.#seen.has(ino);
          this.#count(ino);
          entries.set(full, this.#entry(child, ino, isFirst));
          if (child.mode >> 12 === 0o04) directories.push([full, ino, number]);
        }
      }
      if (dots !== 2) this.#complain(`/${path}: . and ..`, dots, 2);
    }
    for (const [number, links] of this.#seen) {
      const { links: noted } = this.#dinode(number);
      if (noted !== links) this.#complain(`links of inode ${number}`, noted, links);
    }
    this.#checkGroups();
    return { entries, complaints: this.complaints, version: this.#version };
  }

  #entry(dinode: Dinode, inode: number, isFirst: boolean): FoundEntry & { links: number } {
    const { mode, uid, gid, size, links, raw } = dinode;
    const type = TYPES[mode >> 12] ?? 'other';
    const base = { type, mode: mode & 0o7777, uid, gid, size, inode, links };
    if (type === 'symlink') {
      const at = this.#version === 1 ? 40 : 112;
      const isFast = size < (this.#version === 1 ? 60 : 120);
      const target = isFast ? raw.toString('utf8', at, at + size) : Buffer.concat(this.#content(dinode)).toString();
      return { ...base, target };
    }
    if (type !== 'file') return base;
    const hash = createHash('sha256');
    for (const part of this.#content(dinode, isFirst)) hash.update(part);
    return { ...base, sha256: hash.digest('hex') };
  }

  /** The pieces of a file's contents. Marks what they and their indirect blocks lie in as used. */
  #content({ size, pointers, sectors }: Dinode, mark = true): Buffer[] {
    const [blockSize, fragmentSize] = [this.#int(48), this.#int(52)];
    const parts: Buffer[] = [];
    let left = size;
    let held = 0;
    const perBlock = this.#int(116);
    const read = (block: number, index: number) => {
      const whole = index >= 12 || left >= blockSize;
      const length = whole ? blockSize : Math.ceil(left / fragmentSize) * fragmentSize;
      if (block === 0) parts.push(Buffer.alloc(Math.min(left, blockSize)));
      else {
        parts.push(this.#read(block * fragmentSize, Math.min(left, blockSize)));
        take(block, length);
      }
      left -= Math.min(left, blockSize);
    };
    const take = (block: number, bytes: number) => {
      const count = bytes / fragmentSize;
      if (Math.floor(block / 8) !== Math.floor((block + count - 1) / 8))
        this.#complain('a run across blocks', block, count);
      held += bytes / 512;
      if (!mark) return;
      for (let n = block; n < block + count; n++) {
        if (this.#used[n] === 1) this.#complain('used twice: fragment', n, 1);
        this.#used[n] = 1;
      }
    };
    let index = 0;
    const walk = (block: number, depth: number) => {
      if (left === 0) return;
      if (depth === 0) return read(block, index++);
      take(block, blockSize);
      const width = this.#version === 1 ? 4 : 8;
      const table = this.#read(block * fragmentSize, blockSize);
      for (let n = 0; n < perBlock && left > 0; n++)
        walk(width === 4 ? table.readInt32LE(n * 4) : Number(table.readBigInt64LE(n * 8)), depth - 1);
    };
    pointers.forEach((block, n) => {
      walk(block, Math.max(0, n - 11));
    });
    if (left > 0) this.#complain('missing bytes', left, 0);
    if (held !== sectors) this.#complain('sectors held', sectors, held);
    return parts;
  }

  #dinode(number: number): Dinode {
    const [size, perGroup, fragmentSize] = [this.#version === 1 ? 128 : 256, this.#int(184), this.#int(52)];
    const group = Math.floor(number / perGroup);
    const start = (group * this.#int(188) + this.#int(16)) * fragmentSize;
    const raw = this.#read(start + (number % perGroup) * size, size);
    const device = [0o02, 0o06].includes(raw.readUInt16LE(0) >> 12);
    const v1 = this.#version === 1;
    const pointers = Array.from({ length: 15 }, (_, n) =>
      v1 ? raw.readInt32LE(40 + n * 4) : Number(raw.readBigInt64LE(112 + n * 8)),
    );
    return {
      mode: raw.readUInt16LE(0),
      links: raw.readInt16LE(2),
      uid: raw.readUInt32LE(v1 ? 112 : 4),
      gid: raw.readUInt32LE(v1 ? 116 : 8),
      size: Number(raw.readBigUInt64LE(v1 ? 8 : 16)),
      sectors: v1 ? raw.readUInt32LE(104) : Number(raw.readBigUInt64LE(24)),
      raw,
      pointers: device ? [] : pointers,
    };
  }

  #checkGroups(): void {
    const total = [0, 0, 0, 0];
    const [groups, perGroup, inodes] = [this.#int(44), this.#int(188), this.#int(184)];
    const summaries = this.#read(this.#long(1096) * this.#int(52), this.#int(156));
    for (let group = 0; group < groups; group++) {
      const start = group * perGroup;
      const copy = this.#read((start + this.#int(8)) * this.#int(52), 1376);
      if (copy.readInt32LE(1372) !== this.#int(1372)) this.#complain(`superblock of group ${group}`, 0, 1);
      const cg = this.#read((start + this.#int(12)) * this.#int(52), this.#int(160));
      if (cg.readInt32LE(4) !== 0x090255 || cg.readInt32LE(12) !== group) this.#complain('magic of group', group, 0);
      const size = Math.min(perGroup, this.#used.length - start);
      if (cg.readInt32LE(20) !== size) this.#complain(`cg_ndblk of ${group}`, cg.readInt32LE(20), size);
      const [tablesFrom, tablesTo] = [group === 0 ? 0 : this.#int(8), this.#int(20)];
      this.#used.fill(1, start + tablesFrom, start + tablesTo);
      if (group === 0) this.#used.fill(1, tablesTo, tablesTo + this.#int(156) / this.#int(52));
      const counts = this.#countFree(cg, start, size);
      for (let n = 0; n < inodes; n++) {
        const number = group * inodes + n;
        const isUsed = number < 2 || this.#seen.has(number);
        if (bit(cg, cg.readInt32LE(92), n) !== isUsed)
          this.#complain(`map of inode ${number}`, isUsed ? 0 : 1, isUsed ? 1 : 0);
        if (!isUsed) counts[2]!++;
        else if (number >= 2 && this.#dinode(number).mode >> 12 === 0o04) counts[0]!++;
      }
      counts.forEach((count, n) => {
        total[n]! += count;
        if (cg.readInt32LE(24 + n * 4) !== count)
          this.#complain(`count ${n} of group ${group}`, cg.readInt32LE(24 + n * 4), count);
        const again = summaries.readInt32LE(group * 16 + n * 4);
        if (again !== count) this.#complain(`summary ${n} of group ${group}`, again, count);
      });
    }
    total.forEach((count, n) => {
      if (this.#long(1008 + n * 8) !== count) this.#complain(`total ${n}`, this.#long(1008 + n * 8), count);
    });
  }

  /** Compares the map of free fragments; gives directories (0), free blocks, inodes (0) and fragments; checks the sums of runs. */
  #countFree(cg: Buffer, start: number, size: number): number[] {
    const map = cg.readInt32LE(96);
    const counts = [0, 0, 0, 0];
    const runs = new Array<number>(8).fill(0);
    const clusters = new Array<number>(this.#int(1316) + 1).fill(0);
    let cluster = 0;
    const endCluster = () => {
      if (cluster > 0) clusters[Math.min(cluster, this.#int(1316))]!++;
      cluster = 0;
    };
    for (let block = 0; block < size; block += 8) {
      const states = Array.from({ length: Math.min(8, size - block) }, (_, n) => this.#used[start + block + n] === 0);
      states.forEach((isFree, n) => {
        if (bit(cg, map, block + n) !== isFree)
          this.#complain(`map of fragment ${start + block + n}`, isFree ? 0 : 1, isFree ? 1 : 0);
      });
      const isWhole = states.length === 8 && states.every(Boolean);
      if (states.length === 8 && bit(cg, cg.readInt32LE(108), block / 8) !== isWhole)
        this.#complain('map of clusters', block, 8);
      if (isWhole) {
        counts[1]!++;
        cluster++;
        continue;
      }
      endCluster();
      let run = 0;
      for (const isFree of [...states, false]) {
        if (isFree) run++;
        else if (run > 0) {
          runs[run]!++;
          counts[3]! += run;
          run = 0;
        }
      }
    }
    endCluster();
    runs.forEach((count, n) => {
      if (cg.readInt32LE(52 + n * 4) !== count) this.#complain(`cg_frsum[${n}]`, cg.readInt32LE(52 + n * 4), count);
    });
    clusters.forEach((count, n) => {
      const at = cg.readInt32LE(104) + n * 4;
      if (n > 0 && cg.readInt32LE(at) !== count) this.#complain(`clusters of ${n}`, cg.readInt32LE(at), count);
    });
    return counts;
  }

  #count(number: number): void {
    this.#seen.set(number, (this.#seen.get(number) ?? 0) + 1);
  }

  #complain(what: string, found: number, expected: number): void {
    if (this.complaints.length < 20) this.complaints.push(`${what}: ${found}, not ${expected}`);
  }

  #int(at: number): number {
    return this.#sb.readInt32LE(at);
  }

  #long(at: number): number {
    return Number(this.#sb.readBigInt64LE(at));
  }

  #read(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    readSync(this.#file, bytes, 0, length, this.#offset + position);
    return bytes;
  }
}

function bit(bytes: Buffer, at: number, n: number): boolean {
  return ((bytes[at + (n >> 3)]! >> (n & 7)) & 1) === 1;
}
