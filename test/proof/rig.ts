/** One way of trying to break the store. `npm run proof` runs all of them and writes what they found into docs/reliability.md. */
export interface Rig {
  /** One word or two, as in `--only crashes`. */
  readonly name: string
  /** What it does, in one line. */
  readonly about: string
  /** Why this machine cannot run it, in one line; null when it can. */
  unavailable(): Promise<string | null>
  run(options: RigOptions, progress: Progress): Promise<RigReport>
}

/** Tells how it goes; `share`: how much of it is done, from 0 to 1. */
export type Progress = (line: string, share?: number) => void

export interface RigOptions {
  /** A few minutes for all rigs together, instead of as long as it takes. */
  readonly isQuick: boolean
  readonly seed: number
  /** An empty directory on a real disk, for the rig alone. */
  readonly directory: string
}

export interface RigReport {
  /** What was counted, in the order in which it is shown. */
  readonly figures: Readonly<Record<string, number | string>>
  /** One line for each promise that was broken, with how to see it again. */
  readonly failures: readonly string[]
  readonly tables?: readonly RigTable[]
}

export interface RigTable {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}
