import path from 'node:path';
import type { KeyRecord } from '../cache/records.ts';
import { packageRoot, packageVersion } from '../host/paths.ts';
import type { Json } from '../model/json.ts';
import type { Source, Step } from '../model/step.ts';
import type { Target } from '../plan/target.ts';

/** A step of a build with what its key record has of it. */
export interface Recorded {
  readonly step: Step;
  readonly record: KeyRecord;
}

interface Subject {
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
}

/**
 * How an image was made, from the key records of its steps: an in-toto statement, version 1, with the predicate SLSA
 * provenance, version 1. Nothing in it depends on when or where that was.
 */
export function provenance(target: Target, subject: Subject, steps: readonly Recorded[], root: string): Json {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: subject.name, digest: { sha256: subject.sha256 } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:smol:build:v1',
        externalParameters: { service: target.service, arch: target.arch },
        internalParameters: { release: target.release.name, kernel: target.kernel.name },
        resolvedDependencies: steps
          .filter(({ step }) => step.source !== undefined)
          .map(({ step, record }) => ({
            name: step.name,
            uri: uriOf(step.source!, root),
            digest: { sha256: record.output.digest },
          })),
      },
      runDetails: {
        builder: { id: 'urn:smol:builder', version: { smol: packageVersion() } },
        byproducts: steps.map(({ step, record }) => ({
          name: step.name,
          digest: { sha256: record.output.digest },
          annotations: { key: record.key, task: record.parts.task!, tools: record.parts.tools! },
        })),
      },
    },
  };
}

/** What an image is made of: SPDX 2.3. Each thing that was fetched is a package of it. */
export function billOfMaterials(target: Target, subject: Subject, steps: readonly Recorded[], created: number): Json {
  const fetched = steps.filter(({ step }) => step.task.pool === 'net' && step.source !== undefined);
  const packages = fetched.map(({ step, record }, n) => {
    const version = versionOf(record);
    return {
      SPDXID: `SPDXRef-Package-${n + 1}`,
      name: version?.name ?? step.source!.name,
      ...(version && { versionInfo: version.version }),
      downloadLocation: /^https?:/.test(step.source!.name) ? step.source!.name : 'NOASSERTION',
      filesAnalyzed: false,
      checksums: [{ algorithm: 'SHA256', checksumValue: record.output.digest }],
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: 'NOASSERTION',
      copyrightText: 'NOASSERTION',
    };
  });
  const image = {
    SPDXID: 'SPDXRef-Image',
    name: target.name,
    versionInfo: subject.sha256,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    primaryPackagePurpose: 'OPERATING-SYSTEM',
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: 'NOASSERTION',
    copyrightText: 'NOASSERTION',
  };
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: target.name,
    documentNamespace: `urn:smol:sbom:${subject.sha256}`,
    creationInfo: {
      // SPDX has no fraction of a second.
      created: new Date(created * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: [`Tool: smol-${packageVersion()}`],
    },
    packages: [image, ...packages],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: image.SPDXID },
      ...packages.map(({ SPDXID }) => ({
        spdxElementId: image.SPDXID,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
}

/** What a source is called outside this host: a URL as it is, a file by its path in the project, or in smol. */
function uriOf({ name, path: file }: Source, root: string): string {
  if (file === undefined || /^https?:/.test(name)) return name;
  const inside = [root, packageRoot()].map((base) => path.relative(base, file)).find((each) => !each.startsWith('..'));
  return `file:${inside ?? path.basename(file)}`;
}

/** Name and version of a Debian package, as its pin has them, or of one of pkgsrc, as its file is called. */
function versionOf({ parts }: KeyRecord): { name: string; version: string } | undefined {
  const pin = parts.source as { package?: string } | null;
  const [, name, version] = /^([^=]+)=(.+)$/.exec(pin?.package ?? '') ?? [];
  return name === undefined || version === undefined ? undefined : { name, version };
}
