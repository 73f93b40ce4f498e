import { PbfReader, PbfWriter } from 'pbf';
import type { Digest } from '../model/artifact.ts';

/**
 * ActionResult, what Bazel's Remote Execution API keeps of an action under /ac/ (remote_execution.proto of version 2): of it,
 * the files that an action made. A server that validates results takes ours, since they are nothing else.
 */
export interface ActionResult {
  readonly files: readonly OutputFile[];
}

export interface OutputFile {
  /** Relative, never empty. */
  readonly path: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The file itself, where it is so small that it need not be fetched. */
  readonly contents?: Uint8Array | undefined;
}

/** The numbers of the fields in remote_execution.proto. */
const OUTPUT_FILES = 2;
const FILE = { path: 1, digest: 2, contents: 5 } as const;
const DIGEST = { hash: 1, sizeBytes: 2 } as const;

export function encodeActionResult({ files }: ActionResult): Uint8Array {
  const writer = new PbfWriter();
  for (const file of files) writer.writeMessage(OUTPUT_FILES, writeFile, file);
  return writer.finish();
}

/** Fields that we do not know, such as who ran the action, are passed over. Throws an error if it is no such message. */
export function decodeActionResult(bytes: Uint8Array): ActionResult {
  const files: OutputFile[] = [];
  new PbfReader(bytes).readFields((field, _, reader) => {
    if (field !== OUTPUT_FILES) return;
    const file = { path: '', digest: '', size: 0, contents: undefined as Uint8Array | undefined };
    reader.readMessage(readFile, file);
    files.push(file);
  }, undefined);
  return { files };
}

function writeFile({ path, digest, size, contents }: OutputFile, writer: PbfWriter): void {
  writer.writeStringField(FILE.path, path);
  writer.writeMessage(FILE.digest, writeDigest, { digest, size });
  if (contents !== undefined && contents.length > 0) writer.writeBytesField(FILE.contents, contents);
}

function writeDigest({ digest, size }: Pick<OutputFile, 'digest' | 'size'>, writer: PbfWriter): void {
  writer.writeStringField(DIGEST.hash, digest);
  if (size > 0) writer.writeVarintField(DIGEST.sizeBytes, size);
}

type Read = { -readonly [K in keyof OutputFile]: OutputFile[K] };

function readFile(field: number, file: Read, reader: PbfReader): void {
  if (field === FILE.path) file.path = reader.readString();
  else if (field === FILE.digest) reader.readMessage(readDigest, file);
  else if (field === FILE.contents) file.contents = reader.readBytes();
}

function readDigest(field: number, file: Read, reader: PbfReader): void {
  if (field === DIGEST.hash) file.digest = reader.readString();
  else if (field === DIGEST.sizeBytes) file.size = reader.readVarint(true);
}
