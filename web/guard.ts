import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Who may come in. A page of somebody else must not, by whatever name it calls this host. */

export interface Door {
  /** What this server is called, with its port: `127.0.0.1:7001`. */
  readonly hosts: readonly string[];
  readonly token: string;
  /** The name of the cookie that holds the token once it was shown. */
  readonly cookie: string;
}

export interface Knock {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Refusal {
  readonly status: number;
  readonly message: string;
}

/** Why a request is not answered; undefined if it is. Whoever changes something must say so in JSON. */
export function refusalOf({ method, headers }: Knock, door: Door): Refusal | undefined {
  const { host = '', origin } = headers;
  // A name that resolves to this host, but is not its own, is how another page would get in (DNS rebinding).
  if (!door.hosts.includes(host)) return { status: 421, message: `this is not ${host || 'who you ask for'}` };
  if (origin !== undefined && origin !== `http://${host}`) return { status: 403, message: 'another page asks' };
  if (!isKnown(headers, door)) return { status: 401, message: 'open the address that `smol ui` printed' };
  if (method === 'GET' || method === 'HEAD') return undefined;
  const hasBearer = headers.authorization !== undefined;
  if (origin === undefined && !hasBearer) return { status: 403, message: 'nobody says which page asks' };
  const isJson = headers['content-type']?.split(';')[0] === 'application/json';
  return isJson ? undefined : { status: 415, message: 'send application/json' };
}

/** Whether a text is the token, told in the same time whatever it is. */
export function isToken(text: string | undefined, { token }: Door): boolean {
  const [given, wanted] = [Buffer.from(text ?? ''), Buffer.from(token)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function isKnown({ authorization, cookie = '' }: IncomingHttpHeaders, door: Door): boolean {
  if (authorization !== undefined) return isToken(/^Bearer (.+)$/.exec(authorization)?.[1], door);
  const pair = cookie.split(/; */).find((each) => each.startsWith(`${door.cookie}=`));
  return isToken(pair?.slice(door.cookie.length + 1), door);
}
