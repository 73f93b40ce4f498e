import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { freePort } from '../../host/ports.ts';

export interface NginxSettings {
  /** Lines for its location, such as `limit_rate 1k;`. */
  readonly location?: string;
  /** Serve TLS; `clients`: only to who has a certificate of ours. */
  readonly tls?: { readonly clients: boolean };
  /** Ask for a name and a password. */
  readonly user?: string;
}

/** A real nginx with dav, as teams use it for caches by Bazel's protocol. */
export class Nginx {
  readonly url: string;
  /** Where it keeps what is put. */
  readonly folder: string;
  readonly base: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, base: string, stop: () => Promise<void>) {
    this.url = url;
    this.base = base;
    this.folder = path.join(base, 'cache');
    this.#stop = stop;
  }

  static async start(t: Pick<ExecutionContext<unknown>, 'teardown'>, settings: NginxSettings = {}): Promise<Nginx> {
    const base = mkdtempSync(path.join(os.tmpdir(), 'smol-nginx-'));
    const port = await freePort('tcp');
    for (const name of ['cache', 'tmp']) mkdirSync(path.join(base, name), { mode: 0o777 });
    if (settings.tls) makeCertificates(base);
    if (settings.user) {
      const [name, password = ''] = settings.user.split(':');
      const hash = execFileSync('openssl', ['passwd', '-apr1', password], { encoding: 'utf8' }).trim();
      appendFileSync(path.join(base, 'users'), `${name}:${hash}\n`);
    }
    writeFileSync(path.join(base, 'nginx.conf'), configuration(base, port, settings));
    const server = spawn('/usr/sbin/nginx', ['-c', path.join(base, 'nginx.conf'), '-e', path.join(base, 'error.log')], {
      stdio: 'ignore',
    });
    const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
    const stop = async () => {
      server.kill('SIGQUIT');
      server.kill('SIGTERM');
      await ended;
    };
    t.teardown(async () => {
      await stop();
      rmSync(base, { recursive: true, force: true });
    });
    await listening(port, () => readFileSync(path.join(base, 'error.log'), 'utf8'));
    return new Nginx(`http${settings.tls ? 's' : ''}://127.0.0.1:${port}`, base, stop);
  }

  /** The requests that it answered, `METHOD path status` each. */
  requests(): string[] {
    const log = path.join(this.base, 'access.log');
    return existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : [];
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

function configuration(base: string, port: number, { location = '', tls, user }: NginxSettings): string {
  const at = (name: string) => path.join(base, name);
  return `daemon off;
worker_processes 1;
pid ${at('pid')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  log_format short '$request_method $uri $status';
  access_log ${at('access.log')} short;
  client_body_temp_path ${at('tmp')};
  proxy_temp_path ${at('tmp')}; fastcgi_temp_path ${at('tmp')}; uwsgi_temp_path ${at('tmp')}; scgi_temp_path ${at('tmp')};
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''};
    ${tls ? `ssl_certificate ${at('server.crt')}; ssl_certificate_key ${at('server.key')};` : ''}
    ${tls?.clients ? `ssl_client_certificate ${at('ca.crt')}; ssl_verify_client on;` : ''}
    ${user ? `auth_basic cache; auth_basic_user_file ${at('users')};` : ''}
    location / {
      root ${at('cache')};
      dav_methods PUT;
      create_full_put_path on;
      client_max_body_size 1g;
      ${location}
    }
  }
}
`;
}

/** An authority, a server for 127.0.0.1 and a client, each with its key. */
function makeCertificates(base: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: base, stdio: 'pipe' });
  const request = (name: string, subject: string) => [
    ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', `${name}.key`, '-subj', `/CN=${subject}`],
  ];
  openssl(...request('ca', 'a test'), '-x509', '-out', 'ca.crt');
  for (const name of ['server', 'client']) {
    openssl(...request(name, name), '-out', `${name}.csr`);
    writeFileSync(path.join(base, 'extensions'), 'subjectAltName=IP:127.0.0.1\n');
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-out', `${name}.crt`, '-extfile', 'extensions'],
    );
  }
}

/** Waits until something listens on a port of this host. */
export async function listening(port: number, why: () => string): Promise<void> {
  const { connect } = await import('node:net');
  for (const end = Date.now() + 20_000; Date.now() < end; await setTimeout(20)) {
    const isThere = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isThere) return;
  }
  throw new Error(`nothing listens on ${port}: ${why()}`);
}
