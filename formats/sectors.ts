/** What is kept track of on a disk: 512 bytes, which no file system divides. */
export const SECTOR = 512;

/** Some of the sectors of a disk. */
export class Sectors {
  readonly #marks: Uint8Array;

  constructor(size: number) {
    this.#marks = new Uint8Array(Math.ceil(size / SECTOR));
  }

  mark(from: number, to: number): void {
    this.#marks.fill(1, Math.floor(from / SECTOR), Math.ceil(to / SECTOR));
  }

  clear(from: number, to: number): void {
    this.#marks.fill(0, Math.floor(from / SECTOR), Math.ceil(to / SECTOR));
  }

  /** The runs of marked sectors, in bytes; the last one may reach beyond the disk. */
  ranges(): [from: number, to: number][] {
    const found: [number, number][] = [];
    for (let from = this.#marks.indexOf(1); from >= 0; ) {
      let to = this.#marks.indexOf(0, from);
      if (to < 0) to = this.#marks.length;
      found.push([from * SECTOR, to * SECTOR]);
      from = this.#marks.indexOf(1, to);
    }
    return found;
  }
}
