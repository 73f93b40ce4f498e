import { scriptTimedOut, unconfinable } from '../model/problems.ts';
import { attempt, interact, type Outcome } from './process.ts';
import { forwarderIn, PROXY_PORT, proxyVariables } from './proxy.ts';

/** What a confined program sees and may do. */
export interface Confinement {
  /** What people call the script. */
  readonly label: string;
  /** The one directory that it may write to, besides a /tmp of its own: /work, where it begins. */
  readonly folder: string;
  /** The whole environment, besides PATH, HOME, LC_ALL and TZ. */
  readonly env: Readonly<Record<string, string>>;
  /** The folder of a proxy: all of the network that there is. */
  readonly proxy?: string | undefined;
  /** Milliseconds. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** What of the host is there to be read: its programs, and nothing that is anybody's. */
const READABLE = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/etc/alternatives'];
/** What bubblewrap says where the host forbids user namespaces. */
const FORBIDDEN = /bwrap: (?:No permissions to create new namespace|Creating new namespace failed|setting up uid map)/;

/**
 * Runs a script of sh(1) as root of nothing: by bubblewrap(1) in namespaces of its own, without network, with fakeroot(1),
 * so that owners, modes and devices are as it sets them for who reads them in the same script. Gives what it wrote and its
 * exit code. Throws `unconfinable` where the host does not allow that, and `script-timed-out`.
 */
export async function confined(script: string, { label, limit, signal, ...where }: Confinement): Promise<Outcome> {
  const time = AbortSignal.timeout(limit);
  try {
    const outcome = await attempt('bwrap', argsFor(script, where), { signal: AbortSignal.any([signal, time]) });
    if (outcome.code !== 0 && FORBIDDEN.test(outcome.stderr)) throw unconfinable(outcome.stderr.trim());
    return outcome;
  } catch (error) {
    signal.throwIfAborted();
    if (time.aborted) throw scriptTimedOut(label, limit / 1000);
    throw error;
  }
}

/** Runs a script confined in the same way, at this process's own terminal or with its own input. Gives its exit code. */
export async function confinedHere(script: string, where: Pick<Confinement, 'folder' | 'env'>): Promise<number> {
  return interact('bwrap', argsFor(script, where));
}

/** Where the proxy is seen in there, with a Node to forward to it. */
const PROXY_FOLDER = '/run/proxy';
const NODE = '/run/node';
const FORWARDED = `${NODE} ${forwarderIn(PROXY_FOLDER)} ${PROXY_PORT} /tmp/.forwarding &
while ! [ -e /tmp/.forwarding ]; do sleep 0.02; done
exec fakeroot sh -c "$1"`;

function argsFor(script: string, { folder, env, proxy }: Pick<Confinement, 'folder' | 'env' | 'proxy'>): string[] {
  const network = proxy === undefined ? {} : proxyVariables('127.0.0.1');
  const settings = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', LC_ALL: 'C', TZ: 'UTC', ...network, ...env };
  return [
    ...['--unshare-all', '--uid', '0', '--gid', '0', '--die-with-parent', '--new-session', '--clearenv'],
    // Of all that root may do, only to read what its modes would keep from it: the tree has to be packed again.
    ...['--cap-drop', 'ALL', '--cap-add', 'CAP_DAC_OVERRIDE', '--cap-add', 'CAP_FOWNER'],
    // fakeroot need not try what cannot be done here.
    ...Object.entries({ ...settings, FAKEROOTDONTTRYCHOWN: '1' }).flatMap(([name, value]) => ['--setenv', name, value]),
    ...READABLE.flatMap((each) => ['--ro-bind-try', each, each]),
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--bind', folder, '/work', '--chdir', '/work'],
    ...(proxy === undefined
      ? ['fakeroot', 'sh', '-c', script]
      : [
          ...['--ro-bind', proxy, PROXY_FOLDER, '--ro-bind', process.execPath, NODE],
          ...['sh', '-c', FORWARDED, 'sh', script],
        ]),
  ];
}
