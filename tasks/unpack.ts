import { TarIndexer } from '../formats/tar.ts';
import { extractDataArchive } from '../host/apt.ts';
import type { Blob } from '../model/artifact.ts';
import type { Step, StepContext, Task } from '../model/step.ts';
import { Bound, byProgram, type Compression, reading, UNCOMPRESSORS, uncompressed } from './uncompress.ts';

/** How a tar archive is packed: compressed, or as a Debian package. */
type Form = Compression | 'deb';
interface Options {
  /** The source's name, for messages. */
  readonly archive: string;
  readonly form: Form;
}

/** An archive as a tree: one blob with the uncompressed archive, and an index of what lies where in it. */
export const unpack: Task = {
  kind: 'unpack',
  version: 1,
  summary: 'an archive (tar, tgz, tar.xz, deb) as a tree',
  pool: 'cpu',
  tools: ({ options }) => {
    const { form } = options as unknown as Options;
    return form === 'deb' ? ['dpkg-deb'] : UNCOMPRESSORS[form];
  },
  async run(context: StepContext) {
    const { archive, form } = context.options as unknown as Options;
    const packed = await context.store.verifiedFile((context.inputs.archive as Blob).digest);
    const bound = new Bound(packed, archive);
    return reading(archive, context, async () => {
      const tar = await TarIndexer.open(archive);
      const bytes =
        form === 'deb'
          ? await byProgram(bound, context, (file, limits) => extractDataArchive(packed, file, limits))
          : await uncompressed(packed, form, bound, context);
      const blob = await context.store.putChunks(bytes, {
        tap: (chunk) => {
          bound.count(chunk.length);
          return tar.write(chunk);
        },
      });
      return context.store.putTree((await tar.end())(blob.digest));
    });
  },
};

export function unpackStep(archive: string, form: Form, fetched: Step): Step {
  const options: Options = { archive, form };
  return { name: `unpack ${archive}`, task: unpack, options: { ...options }, inputs: { archive: fetched } };
}

/** What kind of archive a name says it is; undefined if none that can be unpacked. */
export function archiveForm(name: string): Form | undefined {
  if (/\.(tar\.xz|txz)$/.test(name)) return 'xz';
  if (/\.(tar\.gz|tgz)$/.test(name)) return 'gzip';
  if (name.endsWith('.tar')) return 'none';
  return name.startsWith('apt:') || name.endsWith('.deb') ? 'deb' : undefined;
}
