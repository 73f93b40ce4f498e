import { argvOf } from '../vm/argv.ts';
import type { Forward } from '../vm/machine.ts';
import { askedOf } from '../vm/ready.ts';
import type { DeployedFile, Deployment } from './deployment.ts';

/**
 * What Nomad's qemu driver says by itself, and so must not be said again: QEMU's program, -machine with a type, -name, -m, one
 * -drive with the image, -nographic, and under KVM -enable-kvm and -cpu (drivers/qemu/driver.go). Of two -machine the last
 * one's type counts.
 */
const OWN = ['-name', '-m', '-drive', '-display', '-qmp'];
/** What QEMU calls the driver's drive on a machine that has no bus for it. */
const DRIVE = 'none00';

/** A job of Nomad for its qemu driver, in HCL. The files are on the clients, in a folder of the driver's `image_paths`. */
export function nomadFiles(deployment: Deployment): { files: DeployedFile[]; next: string[] } {
  const { service, prefix } = deployment;
  return {
    files: [{ name: `${service}.nomad.hcl`, text: job(deployment) }],
    next: [
      `copy the other files to ${prefix} on each client, whose qemu plugin has image_paths = ["${prefix}"]`,
      `nomad job run ${service}.nomad.hcl`,
    ],
  };
}

function job(deployment: Deployment): string {
  const { service, version, prefix, files, forwards, ready, replicas } = deployment;
  const label = ({ protocol, guest }: Forward) => `${protocol}_${guest}`;
  const machine = deployment.machine({ name: service, forwards: [], runtime: replaced('NOMAD_TASK_DIR') });
  const rules = forwards.map(
    (forward) => `,hostfwd=${forward.protocol}::${replaced(`NOMAD_PORT_${label(forward)}`)}-:${forward.guest}`,
  );
  const args = argumentsFor(argvOf(machine).slice(1), rules.join(''));
  const first = askedOf(forwards, ready);
  const check =
    ready.http === undefined
      ? `type = "tcp"`
      : `type = "http"
          path = ${hcl(ready.http)}`;
  return `# Written by \`smol deploy ${service} --to nomad\`.
job ${hcl(service)} {
  datacenters = ["*"]

  meta {
    version = ${hcl(version)}
  }

  update {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "5s"
    auto_revert      = true
  }

  group ${hcl(service)} {
    count = ${replicas}

    network {${forwards.map((forward) => `\n      port ${hcl(label(forward))} {}`).join('')}
    }
${
  first === undefined
    ? ''
    : `
    service {
      name     = ${hcl(service)}
      port     = ${hcl(label(first))}
      provider = "nomad"

      check {
          ${check}
          interval = "5s"
          timeout  = "2s"
      }
    }
`
}
    task ${hcl(service)} {
      driver = "qemu"

      config {
        image_path  = ${hcl(`${prefix}/${files.image}`)}
        accelerator = ${hcl(machine.accelerator)}
        args = [
${args.map((arg) => `          ${hcl(arg)},`).join('\n')}
        ]
      }

      resources {
        cpu    = ${500 * machine.cpus}
        # What the driver gives to the guest; it takes no less than 128.
        memory = ${Math.max(128, machine.memory)}
      }
    }
  }
}
`;
}

/** What Nomad replaces by its value. */
function replaced(variable: string): string {
  return `\${${variable}}`;
}

/** The arguments that the driver does not give by itself, with its drive as the root. */
function argumentsFor(args: readonly string[], forwards: string): string[] {
  const own: string[] = [];
  for (let n = 0; n < args.length; n++) {
    const word = args[n]!;
    if (OWN.includes(word) || (word === '-cpu' && args[n + 1] === 'host')) n++;
    else if (word === '-machine') own.push(word, args[++n]!.replace(/,accel=\w+$/, ''));
    else if (word.startsWith('user,id=')) own.push(word + forwards);
    else own.push(word.replace('drive=disk0', `drive=${DRIVE}`));
  }
  return [...own, '-snapshot'];
}

/** A string of HCL, in which what Nomad is to replace stays as it is: `${NOMAD_...}` alone. */
function hcl(text: string): string {
  return JSON.stringify(text).replaceAll(/\$\{(?!NOMAD_)/g, '$$${');
}
