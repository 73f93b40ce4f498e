/** The schemas in schema/ as functions, made by scripts/validators.mjs as smol is built. */
declare module 'smol:validators' {
  import type { ValidateFunction } from 'ajv';

  const validators: Readonly<Record<'config' | 'service' | 'release' | 'kernel' | 'lock', ValidateFunction>>;
  export default validators;
}
