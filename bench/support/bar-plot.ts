import { escapeHtml } from './svg-plot.ts'

/** Bars that lie, one for each who was measured: what is longer is more. */
export interface BarPlot {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
}

export interface Bar {
  readonly label: string
  readonly value: number
  /** What is written behind the bar. */
  readonly text: string
  /** A class of html-report.ts. */
  readonly style: 'bar-own' | 'bar-floor' | 'bar-peer'
}

const WIDTH = 460
const LABEL = 150
const VALUE = 64
const ROW = 22

/** The plot as a piece of HTML. Bars begin at zero: their lengths may be compared. */
export function drawBars({ title, unit, bars }: BarPlot): string {
  const longest = Math.max(...bars.map(bar => bar.value))
  const height = bars.length * ROW + 4
  return `<figure>
<figcaption>${escapeHtml(title)}, ${escapeHtml(unit)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(title)}">
${bars.map((bar, index) => drawBar(bar, index, longest)).join('\n')}
</svg>
</figure>`
}

function drawBar({ label, value, text, style }: Bar, index: number, longest: number): string {
  const top = index * ROW + 4
  const width = Math.max(1, ((WIDTH - LABEL - VALUE) * value) / longest)
  const middle = top + ROW / 2 - 3
  return (
    `<text class="axis" x="${LABEL - 6}" y="${middle}" dy="0.35em" text-anchor="end">${escapeHtml(label)}</text>` +
    `<rect class="${style}" x="${LABEL}" y="${top}" width="${width.toFixed(1)}" height="${ROW - 7}"/>` +
    `<text class="tick" x="${(LABEL + width + 5).toFixed(1)}" y="${middle}" dy="0.35em">${escapeHtml(text)}</text>`
  )
}
