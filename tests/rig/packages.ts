import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { compressed, type Member, tarOf } from './archives.ts';
import type { Mirror } from './mirror.ts';

/** Where NetBSD's mirrors have the packages for amd64. */
export const ALL = '/pub/pkgsrc/packages/NetBSD/x86_64/11.0/All';

/** A binary package as a test describes it. */
export interface PublishedPackage {
  readonly depends?: readonly string[];
  readonly conflicts?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly script?: boolean;
  /** Said in the list in place of the true one. */
  readonly checksum?: string;
  /** What the package says that it is. */
  readonly calls?: string;
}

async function archive(
  name: string,
  { depends = [], files = {}, script, calls = name }: PublishedPackage,
): Promise<Buffer> {
  const list = [
    `@name ${calls}`,
    '@comment Packaged',
    ...depends.map((each) => `@pkgdep ${each}`),
    '@cwd /usr/pkg',
    ...Object.keys(files).flatMap((file) => [file, '@comment MD5:00']),
    '@pkgdir share/empty',
  ];
  const members: Member[] = [
    { name: '+CONTENTS', content: `${list.join('\n')}\n` },
    { name: '+COMMENT', content: `${name}, tested\n` },
    { name: '+BUILD_INFO', content: 'LOCALBASE=/usr/pkg\nMACHINE_ARCH=x86_64\n' },
    ...(script ? [{ name: '+INSTALL', content: '#!/bin/sh\n', mode: 0o755 }] : []),
    ...Object.entries(files).map(([file, content]) => ({ name: file, content, mode: 0o755 })),
  ];
  return compressed(await tarOf(members), 'tgz');
}

/** Serves packages, by their names with versions, and the list of them. */
export async function servePackages(
  mirror: Mirror,
  packages: Readonly<Record<string, PublishedPackage>>,
): Promise<void> {
  const stanzas: string[] = [];
  for (const [name, described] of Object.entries(packages)) {
    const bytes = await archive(name, described);
    mirror.serve(`${ALL}/${name}.tgz`, bytes);
    const digest = described.checksum ?? createHash('sha1').update(bytes).digest('hex');
    stanzas.push(
      [
        `PKGNAME=${name}`,
        ...(described.depends ?? []).map((each) => `DEPENDS=${each}`),
        ...(described.conflicts ?? []).map((each) => `CONFLICTS=${each}`),
        'COMMENT=x',
        `FILE_NAME=${name}.tgz`,
        `FILE_SIZE=${bytes.length}`,
        `FILE_CKSUM=SHA1 ${digest}`,
      ].join('\n'),
    );
  }
  mirror.serve(`${ALL}/pkg_summary.gz`, gzipSync(`${stanzas.join('\n\n')}\n`));
}
