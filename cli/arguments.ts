import { InvalidArgumentError } from 'commander';

export const ARCH_HELP = "amd64, i386 or evbarm-aarch64; by default the host's";

/** A parser for an argument that must have a form. */
export function checkedBy(form: RegExp, what: string) {
  return (value: string): string => {
    if (!form.test(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };
}
