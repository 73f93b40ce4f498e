/** A mistake that a user can mend, as data. All wording is in problems.ts, all rendering in report/. */

/** A stretch of a text file. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
  /** The text of the line. */
  readonly source: string;
}

/** What kind of mistake it is decides the exit code. */
export const EXIT_CODES = { step: 1, usage: 2, manifest: 2, environment: 3, integrity: 4 } as const;

export interface ProblemParts {
  readonly code: string;
  readonly kind: keyof typeof EXIT_CODES;
  readonly message: string;
  readonly place?: Place | undefined;
  /** What is to be read there, if the place alone does not say it. */
  readonly label?: string | undefined;
  /** The other places, where several disagree. */
  readonly others?: readonly { readonly place: Place; readonly label: string }[] | undefined;
  /** Text to show as it is: the end of a console, a list of directories. */
  readonly detail?: string | undefined;
  /** What to do. */
  readonly fix?: string | undefined;
}

export class Problem extends Error {
  readonly parts: ProblemParts;
  constructor(parts: ProblemParts, cause?: unknown) {
    super(parts.message, { cause });
    this.name = 'Problem';
    this.parts = parts;
  }
  get code(): string {
    return this.parts.code;
  }
  get exitCode(): number {
    return EXIT_CODES[this.parts.kind];
  }
  toJSON(): ProblemParts {
    return this.parts;
  }
}

/** Several mistakes, found in one go. */
export class Problems extends Error {
  readonly list: readonly Problem[];
  constructor(list: readonly Problem[]) {
    super(list.map((problem) => problem.message).join('\n'));
    this.name = 'Problems';
    this.list = list;
  }
}

/** The problems that an error stands for: none if it is a bug of ours. */
export function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof Problem) return [error];
  return error instanceof Problems ? error.list : [];
}
