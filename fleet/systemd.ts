import { argvOf } from '../vm/argv.ts';
import type { Forward } from '../vm/machine.ts';
import { askedOf } from '../vm/ready.ts';
import { type DeployedFile, type Deployment, emulatorOf, partsOf } from './deployment.ts';

/**
 * Units of systemd (systemd.unit(5), systemd.exec(5)): one for each replica, which counts as started when its service answers,
 * and a target for all. The ports of a replica are those of the one before it and one more. A VM may do nothing on its host but
 * use its files, its ports and /dev/kvm.
 */
export function systemdFiles(deployment: Deployment): { files: DeployedFile[]; next: string[] } {
  const { service, replicas, prefix } = deployment;
  const numbers = Array.from({ length: replicas }, (_, n) => n + 1);
  const units = numbers.map((n) => ({ name: `smol-${service}-${n}.service`, text: unit(deployment, n) }));
  const target = {
    name: `smol-${service}.target`,
    text: `[Unit]
Description=All replicas of ${service}
Wants=${units.map(({ name }) => name).join(' ')}

[Install]
WantedBy=multi-user.target
`,
  };
  const apply = {
    name: 'apply.sh',
    mode: 0o755,
    text: `#!/bin/sh
# Installs this version of ${service} on this host and moves its replicas to it, one after the other: the next one only when
# the one before it answers. What does not start stops it, and the others go on as they were. To be run as root.
set -eu
cd "$(dirname "$0")"
mkdir -p ${prefix}
cp --sparse=always ${partsOf(deployment).join(' ')} ${prefix}/
cp smol-${service}-*.service smol-${service}.target /etc/systemd/system/
systemctl daemon-reload
systemctl enable smol-${service}.target
for unit in ${units.map(({ name }) => name).join(' ')}; do
  systemctl restart "$unit"
done
`,
  };
  return {
    files: [...units, target, apply],
    next: [
      'copy this folder to the host, and there, as root, run ./apply.sh',
      `journalctl -u 'smol-${service}-*' shows the consoles`,
    ],
  };
}

function unit({ service, version, forwards, ready, patience, prefix, files, machine }: Deployment, n: number): string {
  const name = `smol-${service}-${n}`;
  const own = forwards.map((forward) => ({ ...forward, host: forward.host + n - 1 }));
  const described = machine({ name, forwards: own, runtime: `/run/${name}` });
  const [, ...args] = argvOf(described);
  const usesKvm = described.accelerator === 'kvm';
  const check = checkOf(own, ready, patience);
  return `# Written by \`smol deploy ${service} --to systemd\`.
[Unit]
Description=${service} ${version}, replica ${n}, a VM of smol
PartOf=smol-${service}.target
After=network.target
ConditionPathExists=${prefix}/${files.image}

[Service]
Type=exec
ExecStart=${[emulatorOf(described), ...args].map(word).join(' ')}
${check === undefined ? '' : `ExecStartPost=${['/bin/bash', '-c', check].map(word).join(' ')}\n`}TimeoutStartSec=${patience}
Restart=on-failure
RestartSec=2
# QEMU ends at once when it is told to; what the guest wrote is gone then, as with any restart.
KillMode=mixed
TimeoutStopSec=10
RuntimeDirectory=${name}
DynamicUser=yes
${usesKvm ? 'SupplementaryGroups=kvm\n' : ''}UMask=0077
MemoryMax=${described.memory * 2 + 256}M
TasksMax=64
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
${usesKvm ? 'DeviceAllow=/dev/kvm rw\n' : 'PrivateDevices=yes\n'}ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateIPC=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
${usesKvm ? 'MemoryDenyWriteExecute=yes\n' : ''}
[Install]
WantedBy=smol-${service}.target
`;
}

/** A word of a command line as systemd.service(5) reads it. */
function word(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w@%+=:,./$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** What waits until a replica answers, for bash(1), which can speak TCP; undefined if it has no port to ask. */
function checkOf(forwards: readonly Forward[], ready: Deployment['ready'], patience: number): string | undefined {
  const { http, status } = ready;
  const forward = askedOf(forwards, ready);
  if (forward === undefined) return undefined;
  const { address, host } = forward;
  const where = address === '0.0.0.0' ? '127.0.0.1' : address;
  const expected = status === undefined ? '[23][0-9][0-9]' : String(status);
  const ask =
    http === undefined
      ? 'read -r -t 1 -n 1 <&3'
      : `printf "GET ${http} HTTP/1.0\\r\\nHost: ${where}\\r\\n\\r\\n" >&3 && read -r -t 1 line <&3 && [[ $line == HTTP/1.?" "${expected}* ]]`;
  return `for ((i = 0; i < ${patience * 10}; i++)); do (exec 3<>/dev/tcp/${where}/${host} && ${ask}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1`;
}
