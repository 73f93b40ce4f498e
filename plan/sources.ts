import { existsSync } from 'node:fs';
import path from 'node:path';
import { parsePackageSource } from '../host/apt.ts';
import type { FileDigests } from '../host/digests.ts';
import type { Pins } from '../manifest/lock.ts';
import { notThatKind } from '../model/problems.ts';
import type { Step } from '../model/step.ts';
import { type Expected, fetchStep, filePath, type Location, type RemoteSource } from '../tasks/fetch.ts';
import { RecordedSource } from '../tasks/recorded.ts';
import type { ResolvedPackage } from '../tasks/resolve.ts';
import { archiveForm, unpackStep } from '../tasks/unpack.ts';

/** What sources need besides their names. */
export interface Surroundings {
  /** The project's root: drop-ins lie in it. */
  readonly root: string;
  readonly mirrors: Readonly<Record<string, string>>;
  readonly pins: Pins;
  readonly digests: FileDigests;
  readonly aptState: string;
  /** Keep off the network. */
  readonly offline: boolean;
  /** What steps that resolve packages have chosen, by their names, as far as that is known. */
  readonly resolved: Map<string, readonly ResolvedPackage[]>;
}

export interface SourceWish {
  readonly source: string;
  /** What relative `file:` paths are relative to. */
  readonly base: string;
  /** The publisher's file of checksums, beside the source. */
  readonly checksums?: string | undefined;
  /** What its publisher says elsewhere that its digest is. */
  readonly expected?: Expected | undefined;
  readonly depends?: string | undefined;
  /** A file of the project, by its path from the root, that is taken instead of the source if it exists. */
  readonly dropIn?: string | undefined;
}

/** The step that fetches a source: from a drop-in, from a mirror, or from where the catalogue says. */
export function sourceStep(wish: SourceWish, surroundings: Surroundings): Step {
  const { source } = wish;
  const dropped = wish.dropIn === undefined ? undefined : path.join(surroundings.root, wish.dropIn);
  const isDropped = dropped !== undefined && existsSync(dropped);
  const list = wish.checksums === undefined ? undefined : new URL(wish.checksums, source).href;
  return fetchStep({
    name: source,
    location: isDropped ? { kind: 'file', file: dropped } : locate(wish, surroundings),
    // A file that somebody put there stands for itself: the publisher's list may be out of reach.
    checksums:
      list === undefined || isDropped
        ? undefined
        : { name: list, location: locate({ ...wish, source: list }, surroundings) },
    expected: isDropped ? undefined : wish.expected,
    pins: surroundings.pins,
    digests: surroundings.digests,
    aptState: surroundings.aptState,
    offline: surroundings.offline,
  });
}

/** What the script of a step takes from the network. */
export function recordedSource(step: string, surroundings: Surroundings): RecordedSource {
  const remote = (url: string) =>
    sourceStep({ source: url, base: surroundings.root }, surroundings).source as RemoteSource;
  return new RecordedSource(step, surroundings.pins, remote);
}

/** A source that is an archive, as a tree. Steps of the same source are shared by all targets. Throws `not-that-kind`. */
export function archiveStep(wish: SourceWish, surroundings: Surroundings): Step {
  const form = archiveForm(wish.source);
  if (form === undefined)
    throw notThatKind(
      wish.source,
      'an archive (.tar.xz, .tgz, .tar or a Debian package)',
      'something else by its name',
    );
  return unpackStep(wish.source, form, sourceStep(wish, surroundings));
}

function locate({ source, base, depends }: SourceWish, { mirrors, root }: Surroundings): Location {
  if (source.startsWith('apt:')) return { kind: 'apt', pkg: parsePackageSource(source, depends) };
  if (source.startsWith('file:')) return { kind: 'file', file: filePath(source, base) };
  const prefix = Object.keys(mirrors)
    .filter((each) => source.startsWith(each))
    .sort((a, b) => b.length - a.length)[0];
  const url = prefix === undefined ? source : `${mirrors[prefix]}${source.slice(prefix.length)}`;
  return url.startsWith('file:') ? { kind: 'file', file: filePath(url, root) } : { kind: 'http', url };
}
