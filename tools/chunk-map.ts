/** What a stretch of a chunk file holds; of several in one cell, the last one named here is shown. */
export const MAP_MARKS = { zeros: '.', records: '#', footer: 'F', header: 'H', unproven: '?', damage: '!' } as const
export type MapMark = keyof typeof MAP_MARKS

export const MAP_LEGEND = 'H header  # records  . zeros  ! damage  ? torn tail or in flight  F footer'

const RANK = Object.keys(MAP_MARKS) as MapMark[]
const MIN_CELL_SIZE = 64
const ROW_LENGTH = 64

/** A chunk file drawn as one character for each so many bytes. */
export class ChunkMap {
  /** Bytes that a character stands for; a power of two. */
  readonly cellSize: number
  /** Indexes into RANK; -1 where nothing was marked. */
  readonly #cells: Int8Array

  /** @param maxCells the cells grow until there are no more than this. */
  constructor(fileSize: number, maxCells: number) {
    let cellSize = MIN_CELL_SIZE
    while (Math.ceil(fileSize / cellSize) > maxCells) cellSize *= 2
    this.cellSize = cellSize
    this.#cells = new Int8Array(Math.ceil(fileSize / cellSize)).fill(-1)
  }

  mark(offset: number, end: number, mark: MapMark): void {
    const rank = RANK.indexOf(mark)
    const last = Math.min(this.#cells.length, Math.ceil(end / this.cellSize))
    for (let cell = Math.floor(offset / this.cellSize); cell < last; cell++) {
      if (this.#cells[cell]! < rank) this.#cells[cell] = rank
    }
  }

  get text(): string {
    return Array.from(this.#cells, rank => (rank < 0 ? ' ' : MAP_MARKS[RANK[rank]!])).join('')
  }
}

/** A map's text in rows, each with the offset of its first byte. */
export function* mapRows(text: string, cellSize: number): Iterable<string> {
  for (let at = 0; at < text.length; at += ROW_LENGTH) {
    yield `${String(at * cellSize).padStart(12)}  ${text.slice(at, at + ROW_LENGTH)}`
  }
}
