import { loggedBuilds } from '../commands/buildlog.ts';
import { cacheReport } from '../commands/cache.ts';
import { diff } from '../commands/diff.ts';
import { doctor } from '../commands/doctor.ts';
import { plan } from '../commands/forecast.ts';
import { listImages } from '../commands/imagelist.ts';
import { list } from '../commands/images.ts';
import { listServices } from '../commands/list.ts';
import { boots, logTail, protect, ps, remove, restart, stop } from '../commands/machines.ts';
import { type RunOptions, run } from '../commands/run.ts';
import type { Caller } from '../commands/session.ts';
import { changeSettings, proposeSettings, type RunSettings, settings } from '../commands/settings.ts';
import { stepRecord } from '../commands/steprecord.ts';
import { trace } from '../commands/trace.ts';
import { usage } from '../commands/usage.ts';
import { why } from '../commands/why.ts';
import type { Json } from '../model/json.ts';
import { problemsOf } from '../model/problem.ts';
import { badRequest } from '../model/problems.ts';
import type { Builds } from './builds.ts';

/** What the page is made of: the use cases of commands/, over HTTP. The same list is its OpenAPI description. */

export interface Api {
  readonly caller: Caller;
  readonly builds: Builds;
  readonly tell: (message: unknown) => void;
}

export interface Call {
  /** What stands for the words with a colon in the path. */
  readonly names: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

type Kind = 'string' | 'strings' | 'number' | 'boolean';

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below /api/v1. */
  readonly path: string;
  readonly summary: string;
  /** What the body may hold; a ! marks what it must. */
  readonly body?: Readonly<Record<string, `${Kind}${'' | '!'}`>>;
  readonly query?: readonly string[];
  run(api: Api, call: Call): Promise<unknown>;
}

const LOG_TAIL = 256 * 1024;
const MACHINE = {
  service: 'string',
  image: 'string',
  kernel: 'string',
  arch: 'string',
  name: 'string',
  memory: 'string',
  cpus: 'number',
  ports: 'strings',
  share: 'string',
  consoles: 'number',
  append: 'string',
} as const;
/** Settings that are left out are removed. */
const RUN = { memory: 'string', cpus: 'number', ports: 'strings' } as const;

export const ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/machines',
    summary: 'The VMs that run, and those that are kept',
    // How one was started may hold what it alone is told.
    run: async ({ caller }) => (await ps(caller, true)).map(({ options: _, ...vm }) => vm),
  },
  {
    method: 'POST',
    path: '/machines',
    summary:
      'Build a service, or take an image and a kernel by path, and start a VM, which stays; events tell how it goes',
    body: MACHINE,
    async run({ caller, tell }, { body }) {
      const options = body as Pick<RunOptions, keyof typeof MACHINE>;
      const vm = options.name ?? options.service;
      if (vm === undefined) throw badRequest('"service" is missing, or "name" with "kernel"');
      background({ caller, tell }, vm, (own) => run(own, { ...options, detach: true }));
      return { vm };
    },
  },
  {
    method: 'POST',
    path: '/machines/:name/stop',
    summary: 'Press its power button; quit QEMU if that does not help',
    body: {},
    run: ({ caller }, { names }) => stop(caller, [names.name!], false),
  },
  {
    method: 'POST',
    path: '/machines/:name/restart',
    summary: 'Stop it, and start it again with the disk that it has',
    body: {},
    async run({ caller, tell }, { names }) {
      background({ caller, tell }, names.name!, (own) => restart(own, names.name!));
      return { vm: names.name };
    },
  },
  {
    method: 'DELETE',
    path: '/machines/:name',
    summary: 'Remove it, with its disk; it must be stopped',
    body: {},
    run: ({ caller }, { names }) => remove(caller, [names.name!], false),
  },
  {
    method: 'POST',
    path: '/machines/:name/protect',
    summary: 'Keep it from being stopped or removed, or let it be',
    body: { on: 'boolean!' },
    run: ({ caller }, { names, body }) => protect(caller, names.name!, body.on as boolean),
  },
  {
    method: 'GET',
    path: '/machines/:name/log',
    summary: 'The end of what its console has said',
    run: async ({ caller }, { names }) => ({ text: (await logTail(caller, names.name!, LOG_TAIL)).toString('utf8') }),
  },
  {
    method: 'GET',
    path: '/services',
    summary: 'The services that can be built',
    run: ({ caller }) => listServices(caller),
  },
  {
    method: 'GET',
    path: '/services/:name/graph',
    summary: 'The steps of a service, and what a build would do with each',
    query: ['arch'],
    run: ({ caller }, { names, query }) => plan(caller, { services: [names.name!], ...archOf(query) }),
  },
  {
    method: 'GET',
    path: '/services/:name/why',
    summary: 'Why the last build of it ran what it ran',
    query: ['arch'],
    run: ({ caller }, { names, query }) => why(caller, { services: [names.name!], ...archOf(query) }),
  },
  {
    method: 'GET',
    path: '/services/:name/boots',
    summary: 'How fast its VMs were, the last first: three clocks in milliseconds',
    run: ({ caller }, { names }) => boots(caller, names.name!),
  },
  {
    method: 'GET',
    path: '/services/:name/settings',
    summary: 'How a service runs, as its manifest says',
    run: ({ caller }, { names }) => settings(caller, names.name!),
  },
  {
    method: 'POST',
    path: '/services/:name/settings/proposal',
    summary: 'What other settings would change in the manifest; nothing is written',
    body: RUN,
    run: ({ caller }, { names, body }) => proposeSettings(caller, names.name!, body as RunSettings),
  },
  {
    method: 'POST',
    path: '/services/:name/settings',
    summary: 'Write other settings into the manifest, if it is still the one with the digest',
    body: { ...RUN, digest: 'string!' },
    async run({ caller }, { names, body }) {
      const { digest, ...run } = body as RunSettings & { digest: string };
      return changeSettings(caller, names.name!, run, digest);
    },
  },
  {
    method: 'GET',
    path: '/builds',
    summary: 'The builds that the page began, the newest first',
    run: async ({ builds }) => builds.all,
  },
  {
    method: 'GET',
    path: '/record',
    summary: 'The key record of a step as it was last made',
    query: ['step'],
    run: ({ caller }, { query }) => stepRecord(caller, query.get('step') ?? ''),
  },
  {
    method: 'GET',
    path: '/history',
    summary: 'The last builds of the project that did something, whoever asked for them',
    run: ({ caller }) => loggedBuilds(caller),
  },
  {
    method: 'POST',
    path: '/builds',
    summary: 'Begin a build; events tell how it goes',
    body: { services: 'strings!', arch: 'string' },
    run: async ({ builds }, { body }) => builds.start(body.services as string[], body.arch as string | undefined),
  },
  {
    method: 'POST',
    path: '/builds/cancel',
    summary: 'End the build that is under way',
    body: {},
    run: async ({ builds }) => builds.cancel(),
  },
  {
    method: 'GET',
    path: '/images',
    summary: 'The images that were built',
    run: ({ caller }) => listImages(caller),
  },
  {
    method: 'GET',
    path: '/images/:name/entries',
    summary: 'What a directory of an image holds',
    query: ['path'],
    run: ({ caller }, { names, query }) => list(caller, names.name!, query.get('path') ?? '/'),
  },
  {
    method: 'GET',
    path: '/images/:name/usage',
    summary: 'What fills an image: by directory, and by what brought it',
    run: ({ caller }, { names }) => usage(caller, names.name!),
  },
  {
    method: 'GET',
    path: '/images/:name/diff/:other',
    summary: 'What differs between two images, and what brought it',
    run: ({ caller }, { names }) => diff(caller, [names.name!, names.other!]),
  },
  {
    method: 'GET',
    path: '/cache',
    summary: 'How large the cache is and may be, and what it has spared',
    run: ({ caller }) => cacheReport(caller),
  },
  {
    method: 'GET',
    path: '/trace',
    summary: 'What the last build that ran anything waited for',
    run: ({ caller }) => trace(caller),
  },
  {
    method: 'GET',
    path: '/system',
    summary: 'What this host has and lacks',
    run: ({ caller }) => doctor(caller, false),
  },
];

function archOf(query: URLSearchParams): { arch?: string } {
  const arch = query.get('arch');
  return arch === null ? {} : { arch };
}

/** Does what takes long after the answer; how it went is told as events of the VM. */
function background(
  { caller, tell }: Pick<Api, 'caller' | 'tell'>,
  vm: string,
  work: (caller: Caller) => Promise<unknown>,
): void {
  const emit: Caller['emit'] = (event) => {
    if (event.type !== 'vm-console') tell({ type: 'vm-event', vm, event });
  };
  work({ ...caller, emit }).catch((error: unknown) => {
    const problems = problemsOf(error);
    tell(problems.length === 0 ? { type: 'bug', text: String(error) } : { type: 'vm-failed', vm, problems });
  });
}

/** Names are those of VMs, services and images: none leads anywhere else. */
const NAME = /^\w[\w.-]{0,62}$/;

/** The route for a path below /api/v1, and the names in it. */
export function routeFor(
  method: string,
  path: string,
): { route: Route; names: Record<string, string> } | { allowed: string[] } | undefined {
  const allowed: string[] = [];
  for (const route of ROUTES) {
    const names = matched(route.path, path);
    if (names === undefined) continue;
    if (route.method === method) return { route, names };
    allowed.push(route.method);
  }
  return allowed.length > 0 ? { allowed } : undefined;
}

function matched(pattern: string, path: string): Record<string, string> | undefined {
  const [words, parts] = [pattern.split('/'), path.split('/')];
  if (words.length !== parts.length) return undefined;
  const names: Record<string, string> = {};
  for (const [n, word] of words.entries()) {
    const part = decodeURIComponent(parts[n]!);
    if (!word.startsWith(':')) {
      if (word !== part) return undefined;
    } else if (NAME.test(part)) names[word.slice(1)] = part;
    else return undefined;
  }
  return names;
}

/** The body of a request, as its route wants it. Throws `bad-request`. */
export function bodyFor({ body: shape = {} }: Route, text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    throw badRequest('the body is no JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badRequest('the body is no object');
  for (const [key, value] of Object.entries(body)) {
    if (shape[key] === undefined) throw badRequest(`"${key}" means nothing here`);
    if (!isOf(value, shape[key])) throw badRequest(`"${key}" must be ${KINDS[shape[key].replace('!', '') as Kind]}`);
  }
  for (const [key, kind] of Object.entries(shape)) {
    if (kind.endsWith('!') && !(key in body)) throw badRequest(`"${key}" is missing`);
  }
  return body as Record<string, unknown>;
}

const KINDS: Readonly<Record<Kind, string>> = {
  string: 'a text',
  strings: 'a list of texts',
  boolean: 'true or false',
  number: 'a number',
};

function isOf(value: unknown, kind: string): boolean {
  if (kind.startsWith('strings')) return Array.isArray(value) && value.every((each) => typeof each === 'string');
  return typeof value === kind.replace('!', '');
}

/** The description of all routes: OpenAPI 3.1. */
export function openApi(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const { method, path, summary, body, query = [] } of ROUTES) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!);
    const at = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[at] = {
      ...paths[at],
      [method.toLowerCase()]: {
        summary,
        parameters: [
          ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
          ...query.map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
        ],
        ...(body && { requestBody: { content: { 'application/json': { schema: schemaOf(body) } } } }),
        responses: {
          200: { description: 'done, or begun' },
          400: { description: 'a mistake, as {problems: [{code, message, fix}]}' },
        },
      },
    };
  }
  return { openapi: '3.1.0', info: { title: 'smol ui', version }, servers: [{ url: '/api/v1' }], paths };
}

function schemaOf(body: NonNullable<Route['body']>): Json {
  const typeOf = (kind: string): Json =>
    kind.startsWith('strings') ? { type: 'array', items: { type: 'string' } } : { type: kind.replace('!', '') };
  return {
    type: 'object',
    additionalProperties: false,
    required: Object.keys(body).filter((key) => body[key]!.endsWith('!')),
    properties: Object.fromEntries(Object.entries(body).map(([key, kind]) => [key, typeOf(kind)])),
  };
}
