import { endOf, type Fate, type FileChange, type Growth, type Piece } from './file-changes.ts'
import { FileRemains, lanesOfChange, type Stretch } from './file-remains.ts'
import type { HashedImage } from './hashed-image.ts'
import { Random } from './random.ts'

const FATES: readonly Fate[] = ['lost', 'kept', 'zeros', 'garbage', 'torn']

/**
 * Everything that a crash can make of one file while its changes stay the same, each worked out once. Pieces that touch no other
 * piece have each their fate to themselves, so what a choice of fates leaves is put together from parts that are known, and its
 * hash is a sum: a state that was seen before costs no bytes.
 */
export class FileOutcomes {
  readonly seed: string
  readonly #durable: HashedImage
  readonly #untouched: FileRemains
  readonly #growths: readonly { readonly change: Growth; readonly torn: number }[]
  readonly #clusters: readonly Cluster[]
  /** A truncation touches all that came before it: then the file is worked out as a whole. */
  readonly #whole: WholeFile | null

  constructor(durable: HashedImage, changes: readonly FileChange[], sectorSize: number, seed: string) {
    this.seed = seed
    this.#durable = durable
    this.#untouched = FileRemains.of(durable)
    const damage = new Damage(durable, seed)
    const growths = changes.filter(change => change.kind === 'growth')
    this.#growths = growths.map(change => ({ change, torn: halfWay(change, sectorSize, seed) }))
    const pieces = changes.filter(change => change.kind === 'piece')
    const isCut = changes.some(change => change.kind === 'truncation')
    this.#whole = isCut ? new WholeFile(durable, changes, damage, change => halfWay(change, sectorSize, seed)) : null
    this.#clusters = isCut ? [] : clustersOf(pieces).map(cluster => new Cluster(durable, cluster, damage))
  }

  /** The file after a crash in which each change met the fate that it has now. */
  remains(): FileRemains {
    if (this.#whole !== null) return this.#whole.remains()
    let { size, laneA, laneB } = this.#durable
    for (const { change, torn } of this.#growths) {
      if (change.fate !== 'lost') size = Math.max(size, change.fate === 'torn' ? torn : change.size)
    }
    let [classA, classB] = [laneA, laneB]
    const stretches: Stretch[] = []
    for (const cluster of this.#clusters) {
      const stretch = cluster.stretch(size)
      if (stretch === null) continue
      stretches.push(stretch)
      laneA = (laneA + stretch.laneA) | 0
      laneB = (laneB + stretch.laneB) | 0
      classA = (classA + stretch.classes.laneA) | 0
      classB = (classB + stretch.classes.laneB) | 0
    }
    if (stretches.length === 0 && size === this.#durable.size) return this.#untouched
    return new FileRemains(this.#durable, size, { laneA, laneB }, { laneA: classA, laneB: classB }, stretches)
  }
}

/** Pieces that share no word of the file with any other piece, and all that share some with each other; each in their order. */
function clustersOf(pieces: readonly Piece[]): Piece[][] {
  const clusters: { end: number; pieces: Piece[] }[] = []
  for (const piece of [...pieces].sort((one, other) => one.start - other.start)) {
    const last = clusters.at(-1)
    const end = piece.start + piece.bytes.length
    if (last === undefined || last.end <= piece.start - (piece.start % 4)) clusters.push({ end, pieces: [piece] })
    else {
      last.pieces.push(piece)
      last.end = Math.max(last.end, end)
    }
  }
  const order = new Map(pieces.map((piece, index) => [piece, index]))
  return clusters.map(cluster => cluster.pieces.sort((one, other) => order.get(one)! - order.get(other)!))
}

class Cluster {
  readonly #durable: HashedImage
  readonly #pieces: readonly Piece[]
  readonly #damage: Damage
  readonly #firstWord: number
  readonly #endWord: number
  readonly #known = new Map<number | string, Stretch>()

  constructor(durable: HashedImage, pieces: readonly Piece[], damage: Damage) {
    this.#durable = durable
    this.#pieces = pieces
    this.#damage = damage
    this.#firstWord = Math.min(...pieces.map(({ start }) => start)) >>> 2
    this.#endWord = (Math.max(...pieces.map(({ start, bytes }) => start + bytes.length)) + 3) >>> 2
  }

  /** Null when nothing of it is there, in a file of this size. */
  stretch(size: number): Stretch | null {
    if (size <= this.#firstWord * 4) return null
    let key: number | string = 0
    let isThere = false
    let isTorn = false
    for (const { fate } of this.#pieces) {
      key = typeof key === 'number' && key < 2 ** 50 ? key * FATES.length + FATES.indexOf(fate) : `${key}${fate}`
      isThere ||= fate !== 'lost'
      isTorn ||= fate === 'torn'
    }
    if (!isThere) return null
    if (size < this.#endWord * 4) key = `${key}/${size}`
    let known = this.#known.get(key)
    if (known === undefined) {
      known = this.#make(size, isTorn)
      this.#known.set(key, known)
    }
    return known
  }

  #make(size: number, isTorn: boolean): Stretch {
    const words = this.#words(size, piece => piece.fate)
    const lanes = lanesOfChange(this.#durable, this.#firstWord, words)
    const classes = isTorn ? lanesOfChange(this.#durable, this.#firstWord, this.#words(size, classOf)) : lanes
    return { start: this.#firstWord * 4, bytes: new Uint8Array(words.buffer), ...lanes, classes }
  }

  #words(size: number, fateOf: (piece: Piece) => Fate): Uint32Array {
    const start = this.#firstWord * 4
    const words = this.#durable.copyWords(this.#firstWord, this.#endWord)
    const bytes = new Uint8Array(words.buffer)
    for (const piece of this.#pieces) {
      const fate = fateOf(piece)
      if (fate !== 'lost')
        bytes.set(
          this.#damage.of(piece, fate, offset => bytes[offset - start]!),
          piece.start - start,
        )
    }
    bytes.fill(0, Math.min(bytes.length, size - start))
    return words
  }
}

class WholeFile {
  readonly #durable: HashedImage
  readonly #changes: readonly FileChange[]
  readonly #damage: Damage
  readonly #halfWay: (change: Growth) => number
  readonly #known = new Map<string, FileRemains>()

  constructor(durable: HashedImage, changes: readonly FileChange[], damage: Damage, halfWay: (change: Growth) => number) {
    this.#durable = durable
    this.#changes = changes
    this.#damage = damage
    this.#halfWay = halfWay
  }

  remains(): FileRemains {
    let key = ''
    for (const { fate } of this.#changes) key += FATES.indexOf(fate)
    let known = this.#known.get(key)
    if (known === undefined) {
      const image = this.#image(change => change.fate)
      const isTorn = this.#changes.some(({ kind, fate }) => kind === 'piece' && fate === 'torn')
      known = FileRemains.of(image, isTorn ? this.#image(classOf) : image)
      this.#known.set(key, known)
    }
    return known
  }

  #image(fateOf: (change: FileChange) => Fate): HashedImage {
    const image = this.#durable.copy(Math.max(...this.#changes.map(endOf)))
    for (const change of this.#changes) {
      const fate = fateOf(change)
      if (fate === 'lost') continue
      if (change.kind === 'piece')
        image.put(
          this.#damage.of(change, fate, offset => image.at(offset)),
          change.start,
        )
      else if (change.kind === 'growth') image.size = Math.max(image.size, fate === 'torn' ? this.#halfWay(change) : change.size)
      else {
        image.zeroFrom(change.size)
        image.size = change.size
      }
    }
    return image.seal()
  }
}

/** What is written in place of a piece. */
class Damage {
  readonly #durable: HashedImage
  readonly #seed: string

  constructor(durable: HashedImage, seed: string) {
    this.#durable = durable
    this.#seed = seed
  }

  /** The same damage each time the same piece meets the same fate, so that equal states count once. */
  of({ operation, bytes, start }: Piece, fate: Fate, at: (offset: number) => number): Uint8Array {
    if (fate === 'kept') return bytes
    const random = new Random(`${this.#seed}/${operation}/${start}/${fate}`)
    const noise = fate === 'garbage' ? random.bytes(bytes.length) : new Uint8Array(bytes.length)
    const cut = 1 + random.int(Math.max(1, bytes.length - 1))
    const headIsNew = random.chance(0.5)
    for (let index = 0; index < bytes.length; index++) {
      const offset = start + index
      const isRewrite = offset < this.#durable.size && this.#durable.at(offset) === bytes[index]
      if (isRewrite) noise[index] = at(offset)
      else if (fate === 'torn') noise[index] = index < cut === headIsNew ? (bytes[index] as number) : at(offset)
    }
    return noise
  }
}

function classOf(change: FileChange): Fate {
  return change.kind === 'piece' && change.fate === 'torn' ? 'garbage' : change.fate
}

/** Where a growth stops that did not come to its end. */
function halfWay({ from, size, operation }: Growth, sectorSize: number, seed: string): number {
  const sectors = Math.ceil(size / sectorSize) - Math.floor(from / sectorSize)
  const sector = Math.floor(from / sectorSize) + new Random(`${seed}/${operation}/growth`).int(sectors)
  return Math.max(from, sector * sectorSize)
}
