import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { freePort } from '../../host/ports.ts';
import { listening } from './nginx.ts';

/** A real registry: Debian's docker-registry, with or without a user. */
export class Registry {
  readonly host: string;
  readonly folder: string;
  readonly #log: string;

  private constructor(host: string, folder: string, log: string) {
    this.host = host;
    this.folder = folder;
    this.#log = log;
  }

  static async start(t: Pick<ExecutionContext<unknown>, 'teardown'>, user?: string): Promise<Registry> {
    const base = mkdtempSync(path.join(os.tmpdir(), 'smol-registry-'));
    const port = await freePort('tcp');
    const folder = path.join(base, 'store');
    let auth = '';
    if (user !== undefined) {
      const [name = '', password = ''] = user.split(':');
      // bcrypt, the only form that it takes; perl's crypt(3) has it.
      const salt = '$2b$05$abcdefghijklmnopqrstuu';
      const hash = execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt], {
        encoding: 'utf8',
      });
      writeFileSync(path.join(base, 'htpasswd'), `${name}:${hash.replace(/^\$2b/, '$2y')}\n`);
      auth = `auth: {htpasswd: {realm: test, path: ${path.join(base, 'htpasswd')}}}\n`;
    }
    const config = path.join(base, 'config.yml');
    writeFileSync(
      config,
      `version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: ${folder}}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${port}"}
${auth}`,
    );
    const log = path.join(base, 'log');
    const out = openSync(log, 'a');
    const server = spawn('docker-registry', ['serve', config], { stdio: ['ignore', out, out] });
    const ended = new Promise((resolve) => server.once('close', resolve));
    t.teardown(async () => {
      server.kill('SIGTERM');
      await ended;
      rmSync(base, { recursive: true, force: true });
    });
    await listening(port, () => readFileSync(log, 'utf8'));
    return new Registry(`127.0.0.1:${port}`, folder, log);
  }

  /** The requests so far, `METHOD path status` each. */
  requests(): string[] {
    const lines = readFileSync(this.#log, 'utf8').split('\n');
    return lines.flatMap((line) => {
      const found = /"([A-Z]+) (\S+) HTTP\/1\.1" (\d{3})/.exec(line);
      return found === null ? [] : [`${found[1]} ${found[2]} ${found[3]}`];
    });
  }
}
