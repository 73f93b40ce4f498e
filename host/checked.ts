import { problemsOf } from '../model/problem.ts';
import { readIfThere, sha256, writeAtomically } from './files.ts';

/** JSON files that notice when a byte of them is not what was written, though it may still be JSON. */

/** Writes an object whole or not at all. */
export function writeChecked(file: string, value: object, indent?: number): void {
  writeAtomically(file, `${checked(value, indent)}\n`);
}

/** An object as JSON, with the digest of itself as its last member, `sum`. */
export function checked(value: object, indent?: number): string {
  const sum = sha256(JSON.stringify(value));
  return JSON.stringify({ ...value, sum }, undefined, indent);
}

/** The same of what only spares work, and may as well be lost: where it cannot be written, it is. */
export function remember(file: string, value: object): void {
  try {
    writeChecked(file, value);
  } catch (error) {
    if (problemsOf(error).length === 0) throw error;
  }
}

/** The object that was written, or undefined if the file is not there, is damaged, or was not written so. */
export function readChecked<T extends object>(file: string): T | undefined {
  return parseChecked<T>(readIfThere(file) ?? '{}');
}

/** The same of the text of such a file. */
export function parseChecked<T extends object>(text: string): T | undefined {
  try {
    const { sum, ...value } = JSON.parse(text) as T & { sum?: string };
    return sha256(JSON.stringify(value)) === sum ? (value as unknown as T) : undefined;
  } catch {
    return undefined;
  }
}
