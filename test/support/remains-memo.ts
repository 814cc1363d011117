import type { DiskRemains } from './disk-remains.ts'

/** What is to be looked at next, or what came out. */
interface Step<Outcome> {
  path: string | null
  readonly answers: Map<number, Step<Outcome>>
  outcome: Outcome | undefined
}

/** No key of a file. */
const ABSENT = -1

/**
 * Remembers what came of disks, by what was looked at: the names, and then one file after the other. The engine does the same to
 * the same bytes; so when everything that it looked into is byte for byte what it was once before, what comes of it is known, be
 * the other files as they may. A recovery removes half-written files unread, for example.
 */
export class RemainsMemo<Outcome> {
  readonly #begins = new Map<string, Step<Outcome>>()

  /**
   * @param begin what is known from the beginning: at least, which files there are.
   * @returns undefined when something in it has not been seen before.
   */
  find(begin: string, { files }: DiskRemains): Outcome | undefined {
    let step = this.#begins.get(begin)
    while (step !== undefined && step.path !== null) step = step.answers.get(files.get(step.path)?.key ?? ABSENT)
    return step?.outcome
  }

  /** Takes note of what came of a disk when these of its files were looked into, in this order. */
  learn(begin: string, { files }: DiskRemains, asked: Iterable<string>, outcome: Outcome): void {
    const left = new Set(asked)
    let step = this.#begins.get(begin)
    if (step === undefined) {
      step = newStep<Outcome>()
      this.#begins.set(begin, step)
    }
    while (step.path !== null || left.size > 0) {
      if (step.outcome !== undefined) throw new Error(`on the same disk the engine did something else: it read ${[...left]}, too`)
      // To look at more than was needed is no mistake.
      const path: string = step.path ?? (left.values().next().value as string)
      left.delete(path)
      step.path = path
      const answer = files.get(path)?.key ?? ABSENT
      let next = step.answers.get(answer)
      if (next === undefined) {
        next = newStep<Outcome>()
        step.answers.set(answer, next)
      }
      step = next
    }
    step.outcome = outcome
  }
}

function newStep<Outcome>(): Step<Outcome> {
  return { path: null, answers: new Map(), outcome: undefined }
}
