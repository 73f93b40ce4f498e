import path from 'node:path';
import { isFile } from '../host/files.ts';
import { readConf } from '../manifest/conf.ts';
import { Project } from '../manifest/project.ts';
import { archNamed } from '../model/arch.ts';
import { badConfValue } from '../model/problems.ts';
import type { RunOptions } from './run.ts';
import type { Caller } from './session.ts';

/**
 * What a file of settings for smolBSD's startnb.sh means here. Its service is the name of the file; the image and kernel
 * that it names are taken if they are there, and else what the service has.
 */
export async function optionsOfConf(
  { folder }: Pick<Caller, 'folder'>,
  file: string,
  wanted: string | undefined,
): Promise<RunOptions> {
  const arch = archNamed(wanted ?? process.arch) ?? process.arch;
  const name = path.basename(file, '.conf');
  const at = path.resolve(folder, file);
  const conf = readConf(at, { arch, ARCH: arch, svc: name, vm: name });
  const isYes = (value: string | undefined) => value !== undefined && value !== '' && !/^(no|n|0)$/i.test(value);
  const matching = (key: keyof typeof conf, form: RegExp, expected: string) => {
    const value = conf[key];
    if (value !== undefined && !form.test(value)) throw badConfValue(file, key, value, expected);
    return value;
  };
  const number = (key: keyof typeof conf) => {
    const value = matching(key, /^\d{1,5}$/, 'a number');
    return value === undefined ? undefined : Number(value);
  };
  const named = (key: 'img' | 'kernel') =>
    conf[key] && isFile(path.resolve(folder, conf[key])) ? conf[key] : undefined;
  const memory = matching('mem', /^\d+[mMgG]?$/, 'a size such as 256m');
  const service = conf.svc ?? name;
  const isKnown = Project.has(folder) && (await Project.find(folder)).services().includes(service);
  const maxPorts = number('max_ports');
  return {
    service: isKnown ? service : undefined,
    name: service,
    image: named('img') ?? (isKnown ? undefined : conf.img),
    kernel: named('kernel') ?? (isKnown ? undefined : conf.kernel),
    memory: memory && (/\d$/.test(memory) ? `${memory}M` : memory.toUpperCase()),
    cpus: number('cores'),
    append: conf.append,
    root: conf.root,
    drives: conf.drive2 === undefined ? undefined : [conf.drive2],
    ports: conf.hostfwd === undefined ? undefined : conf.hostfwd.split(',').map((each) => forwardOf(each, file)),
    share: conf.share,
    shareRw: isYes(conf.sharerw) || undefined,
    bridge: isYes(conf.bridgenet) ? 'br0' : undefined,
    network: isYes(conf.nonet) ? 'none' : undefined,
    serial: matching('serial_port', /^\d{1,5}$/, 'a port'),
    // The first of them is the console.
    consoles: maxPorts === undefined ? undefined : Math.max(0, maxPorts - 1),
    vars: pairs(conf.fwcfgvar),
    files: pairs(conf.fwcfgfile),
    imageAsInitrd: isYes(conf.initrd) || undefined,
    pty: isYes(conf.use_pty) || undefined,
    extra: [
      ...(conf.qmp_port === undefined ? [] : ['-qmp', `tcp:127.0.0.1:${number('qmp_port')},server=on,wait=off`]),
      ...words(conf.extra ?? ''),
    ],
  };
}

/** `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`, as smol writes it. QEMU's one guest has no other address. */
function forwardOf(text: string, file: string): string {
  const found = /^(?:(tcp|udp)?:)?([0-9.]*):?(\d+)-[0-9.]*:(\d+)$/.exec(text);
  if (found === null) throw badConfValue(file, 'hostfwd', text, '[tcp|udp]:[address]:port-[address]:port');
  const [, protocol, address, host, guest] = found;
  return `${address ? `${address}:` : ''}${host}:${guest}${protocol === 'udp' ? '/udp' : ''}`;
}

/** `name=value,other=value`; a value with a comma in it needs smol's own --var. */
function pairs(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined || text === '') return undefined;
  return Object.fromEntries(
    text.split(/,(?=\w+=)/).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}

/** Words as sh(1) splits them, quoted ones whole. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) => word.replaceAll(/['"]/g, ''));
}
