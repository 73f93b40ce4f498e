/** The architectures, by the names that NetBSD's ports have, and the other names that people know them by. */

export const ARCHS = ['amd64', 'i386', 'evbarm-aarch64'] as const;
export type Arch = (typeof ARCHS)[number];

/** What other systems (uname, Node, Debian, Go) call them. */
export const ARCH_ALIASES: Readonly<Record<string, Arch>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  x64: 'amd64',
  ia32: 'i386',
  i486: 'i386',
  i586: 'i386',
  i686: 'i386',
  x86: 'i386',
  aarch64: 'evbarm-aarch64',
  arm64: 'evbarm-aarch64',
};

/** The architecture that a name means, or undefined. */
export function archNamed(name: string): Arch | undefined {
  return ARCHS.find((arch) => arch === name) ?? (Object.hasOwn(ARCH_ALIASES, name) ? ARCH_ALIASES[name] : undefined);
}
