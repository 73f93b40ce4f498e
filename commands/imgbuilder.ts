import { notBaked } from '../model/problems.ts';
import { type BuildOptions, type Built, build } from './build.ts';
import type { Caller } from './session.ts';

type BakeOptions = Omit<BuildOptions, 'services'> & { readonly image: string; readonly builder?: string };

/**
 * Builds the image of a service whose scripts run in a builder VM. `builder` is the service whose VM it is to be, if somebody
 * said so. Throws `not-baked` if its scripts run elsewhere.
 */
export async function bakeImage(caller: Caller, { image, builder, ...options }: BakeOptions): Promise<Built[]> {
  return build(caller, { ...options, services: [image] }, (target) => {
    const own = target.builder?.target.service;
    if (own === undefined || (builder !== undefined && own !== builder)) throw notBaked(image, own, builder);
  });
}
