import { InvalidArgumentError, Option } from 'commander';

export const ARCH_HELP = "amd64, i386 or evbarm-aarch64; by default the host's";

/** A parser for an argument that must have a form. */
export function checkedBy(form: RegExp, what: string) {
  return (value: string): string => {
    if (!form.test(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };
}

/** The options of what builds, that say how the caches are used. */
export const cacheOption = () =>
  new Option('--cache <use>', 'what may be done with the caches, such as local:rw,remote:r; local:w runs all anew');
export const requireCacheOption = () => new Option('--require-cache', 'fail where the remote cache cannot be used');
