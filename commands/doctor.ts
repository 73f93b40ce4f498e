import { statfsSync } from 'node:fs';
import os from 'node:os';
import { makeDirectory } from '../host/files.ts';
import { cacheRoot, packageVersion } from '../host/paths.ts';
import { attempt, which } from '../host/process.ts';
import { install, installCommand, missing } from '../host/programs.ts';
import { ARCHS, type Arch } from '../model/arch.ts';
import { bytes } from '../model/words.ts';
import { chooseAccelerator } from '../vm/accelerator.ts';
import { EMULATORS } from '../vm/machine.ts';
import type { Caller } from './session.ts';

export interface Finding {
  readonly what: string;
  /** `lacks`: something cannot be done; `limited`: it can, but not well. */
  readonly state: 'ok' | 'limited' | 'lacks';
  readonly detail: string;
  readonly fix?: string | undefined;
}

const ROOM_NEEDED = 2 * 1024 ** 3;
const OLDEST_NODE = [20, 19];

/** What this host has and lacks. With `fix`, installs first what it may. */
export async function doctor({ emit, signal }: Caller, fix: boolean): Promise<Finding[]> {
  const programs = [...new Set(Object.values(EMULATORS)), 'xz', 'apt-get', 'dpkg-deb'];
  const lacking = missing(programs);
  if (fix && lacking.length > 0) await install(lacking, emit, signal);
  return [
    host(),
    node(),
    ...(await Promise.all(ARCHS.map(emulator))),
    tool('xz', 'unpacks sets of amd64 and aarch64'),
    tool('apt-get', 'fetches Debian packages, for the hello service'),
    tool('dpkg-deb', 'unpacks Debian packages'),
    room(),
  ];
}

function host(): Finding {
  const [processor] = os.cpus();
  const detail = `smol ${packageVersion()} on ${os.type()} ${os.release()}, ${os.cpus().length} of ${processor?.model ?? 'some processor'}, ${bytes(os.totalmem())}`;
  return { what: 'host', state: 'ok', detail };
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isOld = major < OLDEST_NODE[0]! || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]!);
  return {
    what: 'node',
    state: isOld ? 'lacks' : 'ok',
    detail: process.version,
    fix: isOld ? `install Node.js ${OLDEST_NODE.join('.')} or newer` : undefined,
  };
}

async function emulator(arch: Arch): Promise<Finding> {
  const program = EMULATORS[arch];
  if (which(program) === undefined) {
    return { what: `run ${arch}`, state: 'lacks', detail: `no ${program}`, fix: installCommand([program]) };
  }
  const version = /version (\S+)/.exec((await attempt(program, ['--version'])).stdout)?.[1] ?? '';
  const { accelerator, reason } = await chooseAccelerator(arch, cacheRoot());
  const detail = `QEMU ${version}, ${accelerator}`;
  if (reason === undefined) return { what: `run ${arch}`, state: 'ok', detail };
  return {
    what: `run ${arch}`,
    state: 'limited',
    detail: `${detail}; no hardware acceleration: ${reason}`,
    fix: accelerationFix(reason),
  };
}

function accelerationFix(reason: string): string {
  return reason.includes('group')
    ? `sudo usermod -aG kvm ${process.env.USER ?? '$USER'}, then log in again`
    : 'nothing to do unless you want speed: use a host whose virtualisation works';
}

function tool(program: string, use: string): Finding {
  const found = which(program);
  return {
    what: program,
    state: found === undefined ? 'lacks' : 'ok',
    detail: found ?? `missing; it ${use}`,
    fix: found === undefined ? installCommand([program]) : undefined,
  };
}

function room(): Finding {
  const folder = makeDirectory(cacheRoot());
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const isTight = free < ROOM_NEEDED;
  return {
    what: 'disk',
    state: isTight ? 'limited' : 'ok',
    detail: `${bytes(free)} free for the cache in ${folder}`,
    fix: isTight ? 'free some room, or set SMOL_CACHE to a directory on another disk' : undefined,
  };
}
