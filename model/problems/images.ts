import { Problem } from '../problem.ts';
import { bytes } from '../words.ts';
import { didYouMean } from './names.ts';

/** What cannot be put into a tree or an image. */

export const unsafePath = (archive: string, path: string, why: string) =>
  new Problem({
    code: 'unsafe-path',
    kind: 'integrity',
    message: `${archive} holds "${path}", which ${why}`,
    fix: 'do not use this archive: it may be an attack',
  });

export const unsupportedEntry = (archive: string, path: string, what: string) =>
  new Problem({
    code: 'unsupported-entry',
    kind: 'step',
    message: `${archive} holds "${path}", ${what}, which smol cannot put into an image`,
  });

export const numberOutOfRange = (path: string, what: string, value: number, last: number) =>
  new Problem({
    code: 'number-out-of-range',
    kind: 'step',
    message: `/${path} has the ${what} ${value}, for which no file system has room`,
    fix: `give it one from 0 to ${last}`,
  });

export const layerConflict = (path: string, above: string, aboveType: string, below: string, belowType: string) =>
  new Problem({
    code: 'layer-conflict',
    kind: 'step',
    message: `/${path} is a ${aboveType} in ${above}, but a ${belowType} in ${below}`,
    fix: 'rename one of the two, or leave out what brings it',
  });

export const imageTooSmall = (
  target: string,
  size: number,
  need: number,
  largest: readonly { path: string; size: number }[],
) =>
  new Problem({
    code: 'image-too-small',
    kind: 'step',
    message: `${target} does not fit: the image has ${bytes(size)}, ${bytes(need - size)} too little`,
    detail: `the largest directories:\n${largest.map((row) => `${bytes(row.size).padStart(10)}  /${row.path}`).join('\n')}`,
    fix: `set size: ${Math.ceil(need / 1024 ** 2)}M or more in its service.yaml, or leave out a set`,
  });

export const noSuchImage = (name: string, known: readonly string[], isService: boolean) =>
  new Problem({
    code: 'no-such-image',
    kind: 'usage',
    message: `there is no image ${name}${didYouMean(name, known)}`,
    fix: isService
      ? `\`smol build ${name}\` makes it`
      : 'give the path of one, or the name of a service that was built',
  });

export const brokenImage = (file: string, why: string) =>
  new Problem({ code: 'broken-image', kind: 'integrity', message: `${file} cannot be read: ${why}` });

export const noSuchPath = (image: string, path: string, known: readonly string[]) =>
  new Problem({
    code: 'no-such-path',
    kind: 'usage',
    message: `${image} has no /${path}${didYouMean(path, known)}`,
    fix: `\`smol ls -r ${image}\` lists all that it has`,
  });

export const notAFile = (image: string, path: string, type: string) =>
  new Problem({
    code: 'not-a-file',
    kind: 'usage',
    message: `/${path} of ${image} is a ${type}, which has no contents to show`,
    fix: `\`smol ls ${image} /${path}\` shows it`,
  });

export const imageHeld = (file: string) =>
  new Problem({
    code: 'image-held',
    kind: 'environment',
    message: `${file} is in use`,
    fix: 'stop the VM that runs from it, and remove it if it is kept; `smol ps --all` lists them',
  });

export const notGrowable = (file: string, why: string) =>
  new Problem({
    code: 'not-growable',
    kind: 'usage',
    message: `${file} cannot be made larger: ${why}`,
  });

export const noSuchPin = (name: string, known: readonly string[]) =>
  new Problem({
    code: 'no-such-pin',
    kind: 'usage',
    message: `nothing named ${name} is pinned${didYouMean(name, known)}`,
    fix: 'smol.lock.yaml has the names; the name of a service means all that it needs',
  });

export const notReproducible = (step: string, where: string | undefined, byte: number | undefined) =>
  new Problem({
    code: 'not-reproducible',
    kind: 'step',
    message: `${step} made something else when it was run again`,
    detail: `they differ first in ${[byte === undefined ? undefined : `byte ${byte}`, where].filter((part) => part !== undefined).join(' of ')}`,
    fix: 'something that it runs depends on the date, the directory, the locale or on chance',
  });
