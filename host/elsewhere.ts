/** Circumstances that no step may depend on, all of them changed: for runs that must come out the same. */

const SHIFT_MS = 400 * 24 * 60 * 60 * 1000 + 3_723_004;
const ELSEWHERE = {
  TZ: 'Pacific/Chatham',
  LANG: 'tr_TR.UTF-8',
  LC_ALL: 'tr_TR.UTF-8',
  HOME: '/nonexistent',
  USER: 'nobody',
};

/** Does the work in another directory, with another clock, time zone, locale, home and umask, for itself and the programs that it starts. */
export async function elsewhere<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const [cwd, umask, date, environment] = [process.cwd(), process.umask(), Date, { ...process.env }];
  try {
    process.chdir(folder);
    process.umask(0o077);
    Object.assign(process.env, ELSEWHERE);
    globalThis.Date = class extends date {
      constructor(...parts: [] | [number]) {
        super(...((parts.length === 0 ? [date.now() + SHIFT_MS] : parts) as [number]));
      }
      static override now(): number {
        return date.now() + SHIFT_MS;
      }
    } as DateConstructor;
    return await work();
  } finally {
    globalThis.Date = date;
    for (const name of Object.keys(ELSEWHERE)) delete process.env[name];
    Object.assign(process.env, environment);
    process.umask(umask);
    process.chdir(cwd);
  }
}
