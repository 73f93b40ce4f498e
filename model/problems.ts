/** Every mistake that a user can make, one constructor each, with its stable code and all of its wording. */

export * from './problems/host.ts';
export * from './problems/images.ts';
export * from './problems/machines.ts';
export * from './problems/manifests.ts';
export * from './problems/projects.ts';
export * from './problems/sharing.ts';
export * from './problems/sources.ts';
