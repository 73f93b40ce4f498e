import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { freePort } from '../../host/ports.ts';

/** Why no Slurm can be started here, or undefined if it can: its daemons begin as root. */
export const noSlurm = process.getuid?.() === 0 ? undefined : 'Slurm needs root';

/** A real Slurm: munge, a controller, and nodes that are daemons of this host. */
export class Slurm {
  readonly base: string;
  readonly conf: string;
  readonly nodes: readonly string[];
  readonly #daemons = new Map<string, ChildProcess>();

  private constructor(base: string, nodes: number) {
    this.base = base;
    this.conf = path.join(base, 'slurm.conf');
    this.nodes = Array.from({ length: nodes }, (_, n) => `n${n + 1}`);
  }

  static async start(t: ExecutionContext<unknown>, nodes: number): Promise<Slurm> {
    const slurm = new Slurm(mkdtempSync(path.join(os.tmpdir(), 'smol-slurm-')), nodes);
    t.teardown(() => slurm.#stop());
    await slurm.#begin();
    return slurm;
  }

  /** For who calls srun. */
  get env(): Record<string, string> {
    return { SLURM_CONF: this.conf };
  }

  /** Ends a node at once, with all that runs on it, as a power cut would. */
  kill(node: string): void {
    const daemon = this.#daemons.get(node)!;
    for (const pid of [...this.#jobsOf(node), daemon.pid!]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
  }

  /** The processes of steps on a node: of each slurmstepd of its, all below. */
  #jobsOf(node: string): number[] {
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const facts = all.flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        const environ = readFileSync(`/proc/${pid}/environ`, 'latin1');
        return [{ pid: Number(pid), parent, command, isHere: environ.includes(`SLURMD_NODENAME=${node}\0`) }];
      } catch {
        return [];
      }
    });
    const tasks = facts.filter(({ isHere }) => isHere).filter(({ command }) => !command.startsWith('slurmd'));
    const keepers = facts.filter(({ pid, command }) => {
      return command.startsWith('slurmstepd') && tasks.some(({ parent }) => parent === pid);
    });
    return [...keepers, ...tasks].map(({ pid }) => pid);
  }

  async #begin(): Promise<void> {
    const at = (name: string) => path.join(this.base, name);
    writeFileSync(at('munge.key'), randomBytes(1024), { mode: 0o600 });
    chmodSync(this.base, 0o755);
    mkdirSync(at('state'));
    const count = this.nodes.length;
    const ports = await Promise.all(Array.from({ length: count + 1 }, () => freePort('tcp')));
    const host = os.hostname();
    writeFileSync(
      this.conf,
      `ClusterName=smol
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${at('munge.socket')}
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool-%n')}
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd-%n.pid')}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SlurmdTimeout=5
MpiDefault=none
SwitchType=switch/none
${this.nodes.map((node, n) => `NodeName=${node} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${ports[n + 1]} CPUs=2 RealMemory=4096 State=UNKNOWN`).join('\n')}
PartitionName=all Nodes=${this.nodes.join(',')} Default=YES MaxTime=INFINITE State=UP
`,
    );
    const munge = [
      'key-file=munge.key',
      'socket=munge.socket',
      'pid-file=munge.pid',
      'log-file=munge.log',
      'seed-file=seed',
    ];
    this.#daemon('munged', '/usr/sbin/munged', [
      '--foreground',
      '--force',
      ...munge.map((each) => `--${each.replace('=', `=${this.base}/`)}`),
    ]);
    await setTimeout(300);
    this.#daemon('slurmctld', '/usr/sbin/slurmctld', ['-c', '-D']);
    for (const node of this.nodes) this.#daemon(node, '/usr/sbin/slurmd', ['-D', '-N', node]);
    for (const end = Date.now() + 30_000; Date.now() < end; await setTimeout(200)) {
      if (this.#idle() === count) return;
    }
    throw new Error(`Slurm's nodes do not come up:\n${readFileSync(at('log'), 'utf8')}`);
  }

  #idle(): number {
    try {
      const env = { ...process.env, ...this.env };
      const states = execFileSync('sinfo', ['-h', '-N', '-o', '%T'], { encoding: 'utf8', env, stdio: 'pipe' });
      return states.split('\n').filter((state) => state === 'idle').length;
    } catch {
      return 0;
    }
  }

  #daemon(name: string, program: string, args: readonly string[]): void {
    const log = openSync(path.join(this.base, 'log'), 'a');
    const env = { ...process.env, ...this.env };
    this.#daemons.set(name, spawn(program, args, { stdio: ['ignore', log, log], env }));
  }

  async #stop(): Promise<void> {
    for (const node of this.nodes) this.kill(node);
    const daemons = [...this.#daemons.values()].filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    const ended = daemons.map((daemon) => new Promise((resolve) => daemon.once('exit', resolve)));
    for (const daemon of daemons) daemon.kill('SIGKILL');
    await Promise.all(ended);
    rmSync(this.base, { recursive: true, force: true });
  }
}
