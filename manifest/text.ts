import { stringify } from 'yaml';

/** A value as YAML, for files of others; keys in the order in which they are given, undefined ones left out. */
export function yamlText(value: object): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
