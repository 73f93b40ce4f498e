import type { KeyRecord } from '../cache/records.ts';
import type { Artifact, Digest } from '../model/artifact.ts';
import type { Json } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import { FORMAT, keyOf } from './key.ts';

/** A step whose inputs are known, and so its key. */
export interface Keyed {
  readonly step: Step;
  readonly key: Digest;
  readonly parts: KeyRecord['parts'];
  readonly inputs: Readonly<Record<string, Artifact>>;
  readonly identity: Json | undefined;
}

/** Everything that goes into the key of a step. */
export function keyed(
  step: Step,
  inputs: Readonly<Record<string, Artifact>>,
  identity: Json | undefined,
  tools: Readonly<Record<string, Digest>>,
): Keyed {
  const digests = Object.entries(inputs).map(([name, { kind, digest }]) => [name, `${kind} ${digest}`]);
  const parts = {
    format: FORMAT,
    task: step.task.kind,
    version: step.task.version,
    options: step.options,
    inputs: Object.fromEntries(digests) as Record<string, string>,
    source: identity ?? null,
    tools,
  };
  return { step, key: keyOf(parts), parts, inputs, identity };
}

/** The digests of a step's inputs by their names, as its record has them. */
export function inputsOf({ parts }: Pick<KeyRecord, 'parts'>): Readonly<Record<string, Digest>> {
  const inputs = Object.entries(parts.inputs as Record<string, string>);
  return Object.fromEntries(inputs.map(([name, input]) => [name, input.slice(input.indexOf(' ') + 1)]));
}
