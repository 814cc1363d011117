/** Calls that have to be answered before what they ask may be closed: half an index would give wrong answers. */
export class CallsUnderWay {
  #count = 0
  #onAnswered: (() => void) | null = null

  /** @param call tells what is wrong by its promise. */
  run<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const answer = call()
    this.#count++
    answer.then(this.#over, this.#over)
    return answer
  }

  readonly #over = (): void => {
    if (--this.#count === 0) this.#onAnswered?.()
  }

  /** Resolves when none is under way, if no more are run meanwhile; null when none is now. */
  answered(): Promise<void> | null {
    if (this.#count === 0) return null
    return new Promise(resolve => {
      this.#onAnswered = resolve
    })
  }
}
