import { connect } from 'node:net';
import { pageAt } from '../host/http.ts';
import { attempt } from '../host/process.ts';
import type { Service } from '../model/manifest.ts';
import type { Forward } from './machine.ts';

/** What is asked of a service that is up. */

export type Check = NonNullable<NonNullable<Service['test']>['checks']>[number];

export interface CheckResult {
  readonly name: string;
  readonly ms: number;
  /** What is wrong; undefined if nothing is. */
  readonly failure: string | undefined;
}

/** What checks work with. */
export interface Subject {
  readonly forwards: readonly Forward[];
  /** The folder of the service, in which commands run. */
  readonly folder: string;
  /** Types a line on the console, and gives what comes until that matches; throws with what came instead. */
  type(text: string, expect: RegExp, ms: number): Promise<string>;
}

const SECONDS = 10;
/** Of an answer that was not the right one, so much is shown. */
const SHOWN = 400;

/** Does one check. Never throws for what the service does wrong. */
export async function check(wanted: Check, subject: Subject, signal: AbortSignal): Promise<CheckResult> {
  const started = performance.now();
  const failure = await failureOf(wanted, subject, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    return (error as Error).message;
  });
  return { name: wanted.name ?? nameOf(wanted), ms: performance.now() - started, failure };
}

function nameOf({ http, tcp, console, command }: Check): string {
  if (http !== undefined) return `GET ${http}`;
  if (tcp !== undefined) return `port ${tcp}`;
  return console !== undefined ? `console: ${console}` : `sh: ${command}`;
}

async function failureOf(wanted: Check, subject: Subject, signal: AbortSignal): Promise<string | undefined> {
  const { http, status = 200, tcp, console, command, expect, timeout = SECONDS } = wanted;
  const ms = timeout * 1000;
  const pattern = new RegExp(expect ?? '', 'm');
  const unlike = (text: string) =>
    pattern.test(text) ? undefined : `it does not match ${expect}:\n${text.slice(0, SHOWN)}`;
  const first = subject.forwards.find(({ protocol }) => protocol === 'tcp');
  if (http !== undefined) {
    if (first === undefined) return 'no TCP port of the guest is forwarded';
    const answer = await pageAt(`http://${first.address}:${first.host}${http}`, ms);
    if (answer === undefined) return `there was no answer within ${timeout} s`;
    return answer.status === status ? unlike(answer.body) : `the status was ${answer.status}, not ${status}`;
  }
  if (tcp !== undefined) {
    const forward = subject.forwards.find(({ protocol, guest }) => protocol === 'tcp' && guest === tcp);
    return forward === undefined
      ? `port ${tcp} of the guest is not forwarded`
      : unlike(await greeting(forward, pattern, ms));
  }
  if (console !== undefined) {
    await subject.type(console, pattern, ms);
    return undefined;
  }
  const env = {
    ...process.env,
    URL: first && `http://${first.address}:${first.host}`,
    PORT: first && String(first.host),
  };
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const { code, stdout, stderr } = await attempt('sh', ['-c', command!], { cwd: subject.folder, env, signal: limit });
  return code === 0 ? unlike(stdout) : `it exited with ${code}:\n${(stdout + stderr).trim().slice(-SHOWN)}`;
}

/** What a port says by itself, until that matches or the time is over. */
function greeting({ address, host }: Forward, pattern: RegExp, ms: number): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(host, address);
    const done = () => {
      socket.destroy();
      resolve(said);
    };
    socket.setTimeout(ms, done);
    socket.on('data', (bytes: Buffer) => {
      said += bytes.toString('utf8');
      if (pattern.test(said)) done();
    });
    socket.once('error', done);
    socket.once('close', done);
  });
}
