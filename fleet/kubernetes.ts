import { packagesOf } from '../host/programs.ts';
import { yamlText } from '../manifest/text.ts';
import { argvOf } from '../vm/argv.ts';
import { EMULATORS, type Forward } from '../vm/machine.ts';
import { askedOf } from '../vm/ready.ts';
import { type DeployedFile, type Deployment, emulatorOf, partsOf } from './deployment.ts';

/** The resource by which smolBSD's pods get /dev/kvm: that of the generic device plugin, as smolBSD configures it. */
const KVM = 'squat.ai/kvm';
/** Nobody in particular; the guest has users of its own. */
const USER = 65532;
/** Where QEMU may write. */
const RUNTIME = '/tmp';
const ARCHITECTURES = { amd64: 'amd64', i386: 'amd64', 'evbarm-aarch64': 'arm64' } as const;

/**
 * A Deployment and a Service of Kubernetes, and the Dockerfile of a container with QEMU, the kernel and the image. A new version
 * has a tag of its own, so that replicas are moved to it one by one, each only when it is ready.
 */
export function kubernetesFiles(deployment: Deployment): { files: DeployedFile[]; next: string[] } {
  const { service, version, container } = deployment;
  const image = `${container === undefined ? `${service}-vm` : `${container.replace(/\/$/, '')}/${service}-vm`}:${version}`;
  const { text, manifests } = describe(deployment, image);
  return {
    files: [
      { name: 'Dockerfile', text },
      { name: `${service}.yaml`, text: manifests.map((each) => yamlText(each)).join('---\n') },
    ],
    next: [
      `docker build -t ${image} . && docker push ${image}`,
      `kubectl apply -f ${service}.yaml && kubectl rollout status deployment/${nameOf(service)}`,
      `the nodes need the generic device plugin with ${KVM}, as smolBSD's k8s/README.md sets it up`,
    ],
  };
}

function describe(deployment: Deployment, image: string): { text: string; manifests: object[] } {
  const { service, version, prefix, forwards, patience, replicas } = deployment;
  // In a pod all addresses are its own.
  const own = forwards.map((forward) => ({ ...forward, address: '0.0.0.0' }));
  const machine = deployment.machine({ name: service, forwards: own, runtime: RUNTIME });
  const [, ...args] = argvOf(machine);
  const text = `# Written by \`smol deploy ${service} --to kubernetes\`.
FROM debian:bookworm-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ${packagesOf([EMULATORS[machine.arch]]).join(' ')} \\
 && rm -rf /var/lib/apt/lists/*
COPY ${partsOf(deployment).join(' ')} ${prefix}/
ENV TMPDIR=${RUNTIME}
USER ${USER}:${USER}
ENTRYPOINT ${JSON.stringify([emulatorOf(machine), ...args])}
`;
  const name = nameOf(service);
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'smol' };
  const metadata = { name, labels: { ...labels, 'app.kubernetes.io/version': version } };
  const ports = own.map(({ protocol, host, guest }) => ({
    name: portName({ protocol, guest }),
    containerPort: host,
    protocol: protocol.toUpperCase(),
  }));
  const probe = probeOf(deployment);
  const usesKvm = machine.accelerator === 'kvm';
  const memory = `${machine.memory + 128}Mi`;
  const kvm = usesKvm ? { [KVM]: 1 } : {};
  const deploymentManifest = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels: metadata.labels },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 10,
          nodeSelector: { 'kubernetes.io/arch': ARCHITECTURES[machine.arch] },
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER,
            runAsGroup: USER,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name,
              image,
              ports,
              ...(probe && {
                startupProbe: { ...probe, periodSeconds: 1, failureThreshold: patience },
                readinessProbe: { ...probe, periodSeconds: 5 },
              }),
              resources: {
                requests: { cpu: '250m', memory },
                limits: { cpu: String(machine.cpus), memory, ...kvm },
              },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [{ name: 'runtime', mountPath: RUNTIME }],
            },
          ],
          volumes: [{ name: 'runtime', emptyDir: {} }],
        },
      },
    },
  };
  const serviceManifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels },
    spec: {
      selector: labels,
      ports: own.map(({ protocol, guest }) => ({
        name: portName({ protocol, guest }),
        port: guest,
        targetPort: portName({ protocol, guest }),
        protocol: protocol.toUpperCase(),
      })),
    },
  };
  return { text, manifests: own.length === 0 ? [deploymentManifest] : [deploymentManifest, serviceManifest] };
}

/** Of a container's port: at most 15 letters. */
function portName({ protocol, guest }: Pick<Forward, 'protocol' | 'guest'>): string {
  return `${protocol}-${guest}`;
}

/** A name as Kubernetes takes it, by RFC 1123. */
function nameOf(service: string): string {
  return service.replaceAll('_', '-');
}

/** How the kubelet asks whether a replica answers. */
function probeOf({ forwards, ready }: Deployment): object | undefined {
  const forward = askedOf(forwards, ready);
  if (forward === undefined) return undefined;
  const port = portName(forward);
  return ready.http === undefined ? { tcpSocket: { port } } : { httpGet: { path: ready.http, port } };
}
