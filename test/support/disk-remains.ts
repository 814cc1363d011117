import type { FileRemains } from './file-remains.ts'
import { joinLanes, mix } from './hashed-image.ts'

/** The names on a disk, and the file behind each. */
export interface Layout<File> {
  /** As in DiskContent: a path that ends with '/' is an empty directory. */
  readonly places: readonly { readonly path: string; readonly hash: number; readonly file: File | null }[]
  /** The hash of the directories. */
  readonly laneA: number
  readonly laneB: number
}

const NOTHING = new Uint8Array(0)

/** What a crash left of a whole disk: its hash, and what became of each file; the bytes only for those who ask. */
export class DiskRemains {
  /** By path; null for an empty directory. */
  readonly files: ReadonlyMap<string, FileRemains | null>
  /** Equal for equal content, two lanes. */
  readonly laneA: number
  readonly laneB: number
  /** 53 bits; equal when every sector is of the same class: old, new, zeros or garbage, as which a torn one counts. */
  readonly classHash: number

  readonly #layout: object

  private constructor(
    layout: object,
    files: ReadonlyMap<string, FileRemains | null>,
    lanes: readonly [number, number, number, number],
  ) {
    this.#layout = layout
    this.files = files
    this.laneA = lanes[0]
    this.laneB = lanes[1]
    this.classHash = joinLanes(lanes[2], lanes[3])
  }

  static of<File>(layout: Layout<File>, remainsOf: (file: File) => FileRemains): DiskRemains {
    const { places, laneA, laneB } = layout
    const files = new Map<string, FileRemains | null>()
    let [contentA, contentB, classA, classB] = [laneA, laneB, laneA, laneB]
    for (const { path, hash, file } of places) {
      const remains = file === null ? null : remainsOf(file)
      files.set(path, remains)
      if (remains === null) continue
      const { size, content, classes } = remains
      contentA = (contentA + mix(mix(content.laneA, size), hash)) | 0
      contentB = (contentB + mix(mix(content.laneB, ~size), ~hash)) | 0
      classA = (classA + mix(mix(classes.laneA, size), hash)) | 0
      classB = (classB + mix(mix(classes.laneB, ~size), ~hash)) | 0
    }
    return new DiskRemains(layout, files, [contentA, contentB, classA, classB])
  }

  /** As DiskContent. */
  get content(): Map<string, Uint8Array> {
    return new Map([...this.files].map(([path, remains]) => [path, remains?.bytes() ?? NOTHING]))
  }
  /** The files of a directory, empty directories included, as one text. */
  pathsIn(directory: string): string {
    const known = pathsByLayout.get(this.#layout) ?? new Map<string, string>()
    pathsByLayout.set(this.#layout, known)
    let paths = known.get(directory)
    if (paths === undefined) {
      paths = [...this.files.keys()].filter(path => path.startsWith(`${directory}/`)).join('\n')
      known.set(directory, paths)
    }
    return paths
  }
}

/** By layout, then by directory: many states share a layout. */
const pathsByLayout = new WeakMap<object, Map<string, string>>()
