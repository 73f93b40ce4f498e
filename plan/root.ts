import path from 'node:path';
import { isDirectory } from '../host/digests.ts';
import type { Project } from '../manifest/project.ts';
import type { Step } from '../model/step.ts';
import { type BuilderOptions, builderStep } from '../tasks/builder.ts';
import { composeStep } from '../tasks/compose.ts';
import { furnishStep } from '../tasks/furnish.ts';
import { overlayStep } from '../tasks/overlay.ts';
import { pickStep } from '../tasks/pick.ts';
import { placeStep } from '../tasks/place.ts';
import { scriptStep, scriptStepName } from '../tasks/script.ts';
import { specificationStep } from '../tasks/specification.ts';
import { CONTENTS } from './contents.ts';
import { kernelSteps } from './kernels.ts';
import { packageLayers } from './packages.ts';
import { archiveStep, recordedSource, type Surroundings, sourceStep } from './sources.ts';
import { filled, isUrl, type SetParts, type Target } from './target.ts';

/** A tree that is laid over those before it, and what people call it. */
interface Layer {
  readonly label: string;
  readonly tree: Step;
}

/** The root file system of a target: what it is made from, sets, overlays and what its manifest declares become one tree. */
export function rootOf(target: Target, project: Project, surroundings: Surroundings): Step {
  const sets = target.sets.map((each) => ({ label: `the set ${each.set}`, tree: setStep(target, each, surroundings) }));
  const base = sets.length === 0 ? undefined : composeStep(`${target.name} sets`, sets, { files: {} });
  const guest = CONTENTS[target.guest];
  const layers: Layer[] = [];
  const { from } = target;
  if (from !== undefined) {
    layers.push({ label: `the service ${from.service}`, tree: rootOf(from, project, surroundings) });
  }
  if (base !== undefined) layers.push({ label: 'the sets', tree: base });
  const furnishings = furnishStep(`furnish ${target.name}`, guest.furnishings(target));
  layers.push({ label: `what images of ${target.guest} hold`, tree: furnishings });
  if (base !== undefined) layers.push(...guest.adapt(target, base));
  layers.push(...packageLayers(target, surroundings));
  if (target.kernel.inImage) layers.push(kernelLayer(target, surroundings));
  layers.push(...overlays(target, base, project, surroundings), ...declared(target, surroundings));
  const composed = composeStep(target.name, layers, { files: attributes(target), sourceDate: target.sourceDate });
  return afterScripts(target, composed, project, surroundings);
}

/** Each script works on what the one before it left, and is a step of its own: a change of the last runs no other. */
function afterScripts(target: Target, composed: Step, project: Project, surroundings: Surroundings): Step {
  const { service, arch, release, folder, name } = target;
  const env = {
    ARCH: arch,
    PKGVERS: release.name.replace(/^\D+/, ''),
    SOURCE_DATE_EPOCH: String(target.sourceDate ?? 0),
  };
  const file = (source: string, sha256?: string) =>
    sourceStep(
      {
        source,
        base: folder,
        expected: sha256 === undefined ? undefined : { algorithm: 'sha256', hex: sha256, by: 'service.yaml' },
      },
      surroundings,
    );
  return target.scripts.reduce((tree, { label, source, sha256, inputs, timeout }) => {
    const options = { label, service, files: inputs, env, timeout };
    const given = inputs.map((each) => file(`file:${path.join(folder, each)}`));
    const { builder } = target;
    const network = target.network ? recordedSource(scriptStepName(label, name), surroundings) : undefined;
    if (builder === undefined) return scriptStep(name, options, tree, file(source, sha256), given, network);
    const { target: vm, room } = builder;
    const fs = CONTENTS[vm.guest].fileSystems.find((each) => each === target.fs) ?? CONTENTS[vm.guest].fileSystems[0]!;
    const more = { env: { ...env, SVCIMG: service }, builder: runnable(vm), fs, room };
    const parts = { root: rootOf(vm, project, surroundings), ...kernelSteps(vm, surroundings) };
    return builderStep(name, { ...options, ...more }, tree, file(source, sha256), given, parts, network);
  }, composed);
}

/** What a builder's machine is made of: nothing that changes with where the project lies. */
function runnable({ name, arch, guest, run: { memory, cpus }, kernel, partition }: Target): BuilderOptions['builder'] {
  const run = { ...(memory && { memory }), ...(cpus && { cpus }) };
  return { name, arch, guest, run, kernel: { name: kernel.name, build: kernel.build }, partition };
}

function setStep(target: Target, { set, parts }: SetParts, surroundings: Surroundings): Step {
  const { manifest } = target.release;
  const source = filled(manifest.source, target, { set });
  const dropIn = path.join('sets', target.arch, path.basename(source));
  const tree = archiveStep({ source, checksums: manifest.checksums, dropIn, base: surroundings.root }, surroundings);
  return parts === undefined ? tree : pickStep(tree, { of: `the set ${set}`, parts });
}

function kernelLayer(target: Target, surroundings: Surroundings): Layer {
  const { path: at, mode } = CONTENTS[target.guest].kernelFile;
  const { kernel } = kernelSteps(target, surroundings);
  return { label: `the kernel ${target.kernel.name}`, tree: placeStep(target.name, at, kernel, mode) };
}

/** Directories of the host, those of the service last. */
function overlays(target: Target, base: Step | undefined, project: Project, surroundings: Surroundings): Layer[] {
  const { service, rootdir } = target;
  const folder = (name: string) => path.join(target.folder, name);
  const overlay = (label: string, from: string | undefined, options: Parameters<typeof overlayStep>[2]): Layer[] =>
    from !== undefined && isDirectory(from)
      ? [{ label, tree: overlayStep(label, from, options, surroundings.digests) }]
      : [];
  const specified = ({ label, tree }: Layer): Layer => {
    const file = rootdir?.mtree;
    if (file === undefined) return { label, tree };
    const fetched = sourceStep({ source: `file:${file}`, base: surroundings.root }, surroundings);
    return {
      label,
      tree: specificationStep(label, tree, { file: path.relative(surroundings.root, file), fetched }, base),
    };
  };
  return [
    ...overlay('services/common', project.find('services/common'), { at: 'etc/include', permissions: 'normal' }),
    ...overlay(`the rootdir of ${service}`, rootdir?.folder, { at: '', permissions: 'exact' }).map(specified),
    ...overlay(`services/${service}/root`, folder('root'), { at: '', permissions: 'normal' }),
    ...overlay(`services/${service}/etc`, folder('etc'), { at: 'etc', permissions: 'normal' }),
  ];
}

/** What service.yaml itself says is in the image. */
function declared(target: Target, surroundings: Surroundings): Layer[] {
  const { directories, links, name, folder } = target;
  const files: Record<string, string> = {};
  const placed: Layer[] = [];
  for (const [at, { content, source }] of Object.entries(target.files)) {
    if (content !== undefined) files[at] = content;
    if (source === undefined) continue;
    const wish = { source: isUrl(source) ? source : `file:${path.resolve(folder, source)}`, base: folder };
    placed.push({ label: 'service.yaml', tree: placeStep(name, at, sourceStep(wish, surroundings)) });
  }
  const furnishings = { directories, links, ...(Object.keys(files).length > 0 && { files }) };
  return [{ label: 'service.yaml', tree: furnishStep(`declare ${name}`, furnishings) }, ...placed];
}

/** Modes and owners, of whatever brought the files. */
function attributes({ files }: Target): Parameters<typeof composeStep>[2]['files'] {
  const given = Object.entries(files).filter(([, { mode, owner }]) => mode !== undefined || owner !== undefined);
  return Object.fromEntries(given.map(([at, { mode, owner }]) => [at, { mode, owner }]));
}
