import { printable } from '../output.ts'

export type DamageKind =
  | 'header'
  | 'footer'
  | 'record'
  | 'block'
  | 'append'
  | 'revision'
  | 'count'
  | 'missing chunk'
  | 'foreign chunk'
  | 'misplaced chunk'
  | 'unsupported'
  | 'unreadable'

/** One thing that is not as it was written. */
export interface Damage {
  /** Name of the file, without its directory. */
  readonly file: string
  /** Log position where it begins; null when the damage itself hides it. */
  readonly position: number | null
  /** Bytes it covers, as far as that can be told. */
  readonly size: number | null
  readonly kind: DamageKind
  readonly what: string
}

/** More are counted, not kept: a store that lost many chunks could have one for each stream. */
const KEPT_COUNT = 10_000

/** Damages in the order in which they were found. */
export class DamageList {
  readonly kept: Damage[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  add(damage: Damage): void {
    this.#count++
    if (this.kept.length < KEPT_COUNT) this.kept.push(damage)
  }
}

/** One line. */
export function damageText({ file, position, size, kind, what }: Damage): string {
  const place = position === null ? 'position unknown' : `position ${position}`
  const extent = size === null ? '' : `, ${size} bytes`
  return printable(`${file}: ${place}${extent}: ${kind}: ${what}`)
}
