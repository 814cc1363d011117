/** A line plot with logarithmic axes as a piece of HTML, coloured by the classes that html-report.ts defines. */
export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface Axis {
  /** With its unit. */
  readonly label: string
  /** Where the axis is marked; without it, at round numbers. */
  readonly ticks?: readonly Tick[]
}

export interface Tick {
  readonly at: number
  readonly text: string
}

export interface Series {
  readonly label: string
  /** `line-0` to `line-6` for what comes in an order; `line-own`, `line-floor`, `line-reference`. */
  readonly style: string
  /** Above zero, x ascending. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

const WIDTH = 460
const HEIGHT = 300
const LEFT = 58
const RIGHT = 26
const TOP = 12
const BOTTOM = 44

/** Maps a value on its logarithm into a range of pixels. */
interface Scale {
  readonly min: number
  readonly max: number
  place(value: number): string
}

/** The plot, its title above it and its legend below. */
export function drawPlot(plot: Plot): string {
  const xs = plot.series.flatMap(series => series.points.map(point => point[0]))
  const ys = plot.series.flatMap(series => series.points.map(point => point[1]))
  const x = scaleOver(Math.min(...xs), Math.max(...xs), LEFT, WIDTH - RIGHT)
  const yTicks = plot.y.ticks ?? roundTicks(Math.min(...ys), Math.max(...ys))
  const y = scaleOver(yTicks[0]!.at, yTicks.at(-1)!.at, HEIGHT - BOTTOM, TOP)
  const xTicks = (plot.x.ticks ?? roundTicks(x.min, x.max)).filter(tick => tick.at >= x.min && tick.at <= x.max)
  return `<figure>
<figcaption>${escapeHtml(plot.title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(plot.title)}">
${xTicks.map(tick => drawXTick(tick, x)).join('\n')}
${yTicks.map(tick => drawYTick(tick, y)).join('\n')}
<text class="axis" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${escapeHtml(plot.x.label)}</text>
<text class="axis" transform="translate(12 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(plot.y.label)}</text>
${plot.series.map(series => drawSeries(series, plot, x, y)).join('\n')}
</svg>
<ul class="legend">${plot.series.map(drawLegendItem).join('')}</ul>
</figure>`
}

/** Text that is safe within HTML, quotes included. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}

function scaleOver(from: number, to: number, start: number, end: number): Scale {
  // One point alone stands in the middle.
  const [min, max] = from === to ? [from / 2, to * 2] : [from, to]
  const span = Math.log(max / min)
  return { min, max, place: value => (start + (Math.log(value / min) / span) * (end - start)).toFixed(1) }
}

/** 1, 2, 5, 10, ... around the values; powers of ten alone where that would be too many. */
function roundTicks(min: number, max: number): Tick[] {
  const decades = Math.log10(max / min)
  const steps = decades > 3 ? [1] : [1, 2, 5]
  const candidates: number[] = []
  for (let exponent = Math.floor(Math.log10(min)) - 1; exponent <= Math.ceil(Math.log10(max)) + 1; exponent++) {
    candidates.push(...steps.map(step => Number(`${step}e${exponent}`)))
  }
  const first = candidates.filter(at => at <= min).length - 1
  const last = candidates.findIndex(at => at >= max)
  const ticks = candidates.slice(first, Math.max(last, first + 1) + 1)
  return ticks.map(at => ({ at, text: shortNumber(at) }))
}

function shortNumber(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`
  if (value >= 1e3) return `${value / 1e3} k`
  return String(value)
}

function drawXTick(tick: Tick, x: Scale): string {
  const at = x.place(tick.at)
  return `<line class="grid" x1="${at}" y1="${TOP}" x2="${at}" y2="${HEIGHT - BOTTOM}"/><text class="tick" x="${at}" y="${HEIGHT - BOTTOM + 15}" text-anchor="middle">${escapeHtml(tick.text)}</text>`
}

function drawYTick(tick: Tick, y: Scale): string {
  const at = y.place(tick.at)
  return `<line class="grid" x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}"/><text class="tick" x="${LEFT - 6}" y="${at}" dy="0.35em" text-anchor="end">${escapeHtml(tick.text)}</text>`
}

function drawSeries(series: Series, plot: Plot, x: Scale, y: Scale): string {
  const places = series.points.map(point => [x.place(point[0]), y.place(point[1])] as const)
  const path = places.map(([px, py], index) => `${index === 0 ? 'M' : 'L'}${px} ${py}`).join('')
  const dots = places.map(([px, py], index) => {
    const [, value] = series.points[index]!
    const tip = `${series.label}: ${Number(value.toPrecision(4)).toLocaleString('en-US')} (${plot.y.label})`
    return `<circle cx="${px}" cy="${py}" r="2.5"><title>${escapeHtml(tip)}</title></circle>`
  })
  return `<g class="${series.style}"><path d="${path}"/>${dots.join('')}</g>`
}

function drawLegendItem({ label, style }: Series): string {
  return `<li><svg class="key" viewBox="0 0 22 8" aria-hidden="true"><g class="${style}"><path d="M1 4L21 4"/></g></svg>${escapeHtml(label)}</li>`
}
