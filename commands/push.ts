import path from 'node:path';
import type { Records } from '../cache/records.ts';
import { Scratch } from '../engine/scratch.ts';
import { type Descriptor, hexOf, INDEX, MANIFEST, type Manifest, platformOf, TYPES } from '../formats/oci.ts';
import { type Reference, referenceText } from '../formats/reference.ts';
import { readChecked, remember } from '../host/checked.ts';
import { cacheRoot } from '../host/paths.ts';
import { machineConfig } from '../manifest/machine.ts';
import type { Project } from '../manifest/project.ts';
import { goalsOf, graphOf, stepsOf } from '../plan/graph.ts';
import type { Target } from '../plan/target.ts';
import { attach } from '../registry/attach.ts';
import { signImage } from '../registry/cosign.ts';
import { Repository } from '../registry/repository.ts';
import { type PackedDisk, type Uploaded, uploadBytes, uploadDisk, uploadFile } from '../registry/upload.ts';
import { billOfMaterials, provenance, type Recorded } from './attest.ts';
import { type Built, buildTargets, planTargets, type Strictness } from './build.ts';
import { referenceFor } from './references.ts';
import { type Caller, openSession, type Session } from './session.ts';
import { asStep } from './transferstep.ts';

export interface PushOptions extends Strictness {
  /** The service, and a tag after a colon; without one `latest`. */
  readonly image: string;
  /** Where to, if not to the registry of the configuration under the service's name. */
  readonly to?: string | undefined;
  readonly arch?: string | undefined;
  /** A file with the private key to sign with. */
  readonly sign?: string | undefined;
}

export interface Pushed {
  readonly reference: string;
  /** Of the manifest, or of the index of several. */
  readonly digest: string;
  readonly archs: readonly string[];
  /** Bytes that were sent: what the registry had is not sent again. */
  readonly sent: number;
}

/**
 * Builds the image of a service and stores it in a registry, with its kernel, how it is run, how it was made and what it is made
 * of. Of several architectures it makes one index. Throws what builds throw, and what registries do.
 */
export async function push(caller: Caller, options: PushOptions): Promise<Pushed> {
  const [, service = '', tag] = /^([^:]*)(?::(.*))?$/.exec(options.image) ?? [];
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, { ...options, services: [service] });
    const reference = destination(options.to, service, tag, session.project);
    const built = await buildTargets(session, targets, { ...options, toBoot: true });
    const repository = new Repository(reference, 'pull,push', caller.signal);
    const keyFile = options.sign && path.resolve(caller.folder, options.sign);
    const name = referenceText(reference);
    const { digest, size } = await asStep(caller, 'push', name, async () => {
      let sent = 0;
      const manifests: Descriptor[] = [];
      for (const each of built) {
        const one = await pushOne(session, repository, each, built.length === 1 ? reference.tag : undefined, keyFile);
        manifests.push(one.descriptor);
        sent += one.sent;
      }
      if (manifests.length === 1) return { digest: manifests[0]!.digest, size: sent };
      const index = { schemaVersion: 2, mediaType: INDEX, manifests };
      const whole = await repository.putManifest(index, INDEX, reference.tag);
      if (keyFile) await signImage(repository, whole.digest, keyFile);
      return { digest: whole.digest, size: sent };
    });
    return { reference: name, digest, archs: targets.map(({ arch }) => arch), sent: size };
  } finally {
    session.close();
  }
}

function destination(to: string | undefined, service: string, tag: string | undefined, project: Project): Reference {
  if (to === undefined) return referenceFor(tag === undefined ? service : `${service}:${tag}`, project);
  const reference = referenceFor(to, project);
  return tag === undefined ? reference : { ...reference, tag };
}

async function pushOne(
  session: Session,
  repository: Repository,
  built: Built,
  tag: string | undefined,
  keyFile: string | undefined,
): Promise<{ descriptor: Descriptor; sent: number }> {
  const { target } = built;
  const { store } = session.workshop;
  await using scratch = new Scratch(path.dirname(target.image));
  const config = await uploadBytes(repository, configOf(target), TYPES.machine);
  const kernel = await store.verifiedFile(built.kernel);
  const parts: Uploaded[] = [await uploadFile(repository, kernel, TYPES.kernel, `${target.name}.kernel`)];
  if (built.initrd !== undefined) {
    const file = await store.verifiedFile(built.initrd);
    parts.push(await uploadFile(repository, file, TYPES.initrd, `${target.name}.initrd`));
  }
  const note = path.join(cacheRoot(), 'pushed', `${built.image.key}.json`);
  const last = readChecked<{ layers: PackedDisk }>(note)?.layers;
  const disk = await uploadDisk(repository, target.image, target.name, scratch.get, last);
  remember(note, { layers: disk.layers });
  parts.push(disk);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: TYPES.image,
    config: config.layers[0]!,
    layers: parts.flatMap(({ layers }) => layers),
  };
  const { isReferrer: _, ...stored } = await repository.putManifest(manifest, MANIFEST, tag);
  const descriptor = { ...stored, platform: platformOf(target.guest, target.arch) };
  const steps = await recorded(session, target);
  const subject = { name: target.name, sha256: hexOf(stored.digest) };
  await attach(repository, stored, provenance(target, subject, steps, session.project.root) as object, TYPES.statement);
  const created = target.sourceDate ?? 0;
  await attach(repository, stored, billOfMaterials(target, subject, steps, created) as object, TYPES.spdx);
  if (keyFile !== undefined) await signImage(repository, stored.digest, keyFile);
  return { descriptor, sent: [config, ...parts].reduce((sum, each) => sum + each.sent, 0) };
}

function configOf(target: Target): Buffer {
  const { service, arch, guest, partition, kernel, run } = target;
  return Buffer.from(JSON.stringify(machineConfig({ service, arch, guest, partition, kernel, run })));
}

/** The steps of a target with their key records. */
async function recorded(session: Session, target: Target): Promise<Recorded[]> {
  const engine = session.engine({});
  const records: Records = session.workshop.records;
  const steps = stepsOf(goalsOf(graphOf(target, session.project, session.surroundings)));
  const found: Recorded[] = [];
  for (const step of steps) {
    const record = records.read((await engine.realise(step)).key);
    if (record !== undefined) found.push({ step, record });
  }
  return found;
}
