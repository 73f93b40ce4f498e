import { notBaked } from '../model/problems.ts';
import { type BuildOptions, type Built, buildTargets, planTargets } from './build.ts';
import { type Caller, openSession } from './session.ts';

/**
 * Builds the image of a service whose scripts run in a builder VM. `builder` is the service whose VM it is to be, if somebody
 * said so. Throws `not-baked` if its scripts run elsewhere.
 */
export async function bakeImage(
  caller: Caller,
  {
    image,
    builder,
    ...options
  }: Omit<BuildOptions, 'services'> & { readonly image: string; readonly builder?: string },
): Promise<Built[]> {
  const session = await openSession(caller, options);
  try {
    const targets = await planTargets(session, { ...options, services: [image] });
    for (const target of targets) {
      const own = target.builder?.target.service;
      if (own === undefined || (builder !== undefined && own !== builder)) throw notBaked(image, own, builder);
    }
    return await buildTargets(session, targets, options);
  } finally {
    session.close();
  }
}
