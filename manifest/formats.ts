/** The formats that the schemas name: whether a text is of that form. */

export function regex(text: string): boolean {
  try {
    new RegExp(text, 'm');
    return true;
  } catch {
    return false;
  }
}
