import type { Writable } from 'node:stream'
import { systemClock } from '#engine/core/clock.ts'
import { bytesText, printable } from './output.ts'

const REDRAW_MS = 100
const BAR_WIDTH = 30
/** The terminal cuts what is between them at its edge: of a line that goes on in the next one, only the last could be wiped. */
const [WRAP_OFF, WRAP_ON] = ['\u001b[?7l', '\u001b[?7h']

/** A bar on the last line of a terminal; nothing at all when stderr is no terminal. */
export class Progress {
  readonly #stream: Writable | null
  readonly #totalSize: number | null
  readonly #startedMs = systemClock.monotonic()
  #drawnMs = 0
  #isDrawn = false

  /** @param totalSize bytes to go through; null when nobody knows. */
  constructor(stderr: Writable, totalSize: number | null) {
    this.#stream = (stderr as { isTTY?: boolean }).isTTY === true ? stderr : null
    this.#totalSize = totalSize
  }

  /** @param doneSize bytes gone through so far. @param text what else is worth knowing. */
  update(doneSize: number, text: () => string): void {
    if (this.#stream === null) return
    const nowMs = systemClock.monotonic()
    if (nowMs - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = nowMs
    this.#isDrawn = true
    const speed = `${bytesText((doneSize / Math.max(1, nowMs - this.#startedMs)) * 1000)}/s`
    const line = `${this.#bar(doneSize)}${bytesText(doneSize)}  ${speed}  ${printable(text())}`
    this.#stream.write(`\r\u001b[K${WRAP_OFF}${line}${WRAP_ON}`)
  }

  /** Wipes the bar, so that other lines can follow. */
  clear(): void {
    if (this.#isDrawn) this.#stream?.write('\r\u001b[K')
    this.#isDrawn = false
  }

  #bar(doneSize: number): string {
    if (this.#totalSize === null) return ''
    const share = this.#totalSize === 0 ? 1 : Math.min(1, doneSize / this.#totalSize)
    const filled = Math.round(share * BAR_WIDTH)
    return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%  `
  }
}
