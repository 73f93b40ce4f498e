/**
 * Names and their numbers: the first and third field of the lines of passwd(5) and group(5). Whoever has number 0 is
 * always known, as `zero`.
 */
export function numbersOf(text: string, zero: string): Map<string, number> {
  const rows = text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length > 2);
  return new Map([[zero, 0], ...rows.map(([name, , number]): [string, number] => [name!, Number(number)])]);
}

/** The number of an owner, given by name or as a number; undefined if nobody has that name. */
export function numberOf(name: string, known: ReadonlyMap<string, number>): number | undefined {
  return /^\d+$/.test(name) ? Number(name) : known.get(name);
}
