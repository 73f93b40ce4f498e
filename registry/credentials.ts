import os from 'node:os';
import path from 'node:path';
import { readIfThere } from '../host/files.ts';
import { attempt } from '../host/process.ts';
import { credentialHelperFailed } from '../model/problems.ts';

/** Names and passwords for registries, from where docker, podman and skopeo keep them. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

interface Config {
  readonly auths?: Record<string, { auth?: string; identitytoken?: string }>;
  readonly credHelpers?: Record<string, string>;
  readonly credsStore?: string;
}

/** What a helper says of a host that it does not know (docker-credential-helpers). */
const UNKNOWN = /credentials not found/i;

/**
 * The credentials for a registry: of the first file that has any, $REGISTRY_AUTH_FILE, podman's auth.json, docker's
 * config.json; by its helper, if it names one. Undefined if there are none. Throws `credential-helper-failed`.
 */
export async function credentialsFor(host: string, signal: AbortSignal): Promise<Credentials | undefined> {
  for (const file of files()) {
    const config = parse(readIfThere(file));
    const helper = config.credHelpers?.[host] ?? config.credsStore;
    const found = helper === undefined ? undefined : await askHelper(helper, host, signal);
    const own = found ?? plain(config, host);
    if (own !== undefined) return own;
  }
  return undefined;
}

function files(): string[] {
  const { REGISTRY_AUTH_FILE: named, XDG_RUNTIME_DIR: runtime, DOCKER_CONFIG: docker } = process.env;
  return [
    ...(named ? [named] : []),
    ...(runtime ? [path.join(runtime, 'containers', 'auth.json')] : []),
    path.join(docker || path.join(os.homedir(), '.docker'), 'config.json'),
  ];
}

function parse(text: string | undefined): Config {
  try {
    return JSON.parse(text ?? '{}') as Config;
  } catch {
    return {};
  }
}

function plain({ auths = {} }: Config, host: string): Credentials | undefined {
  const entry = auths[host] ?? auths[`https://${host}`] ?? auths[`https://${host}/v1/`];
  if (entry?.identitytoken) return { user: '<token>', password: entry.identitytoken };
  const text = Buffer.from(entry?.auth ?? '', 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** docker-credential-<name> get: the host on its standard input, JSON on its output. */
async function askHelper(name: string, host: string, signal: AbortSignal): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const { code, stdout, stderr } = await attempt(program, ['get'], { input: host, signal });
  if (code !== 0) {
    if (UNKNOWN.test(stdout + stderr)) return undefined;
    throw credentialHelperFailed(program, host, (stderr || stdout).trim());
  }
  try {
    const { Username, Secret } = JSON.parse(stdout) as { Username: string; Secret: string };
    return { user: Username, password: Secret };
  } catch {
    throw credentialHelperFailed(program, host, 'what it wrote is no JSON');
  }
}
