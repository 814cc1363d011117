import { escapeHtml } from './svg-plot.ts'

/** A page that needs nothing but itself. */
export interface Page {
  readonly title: string
  /** Paragraphs below the title. */
  readonly notes: readonly string[]
  readonly sections: readonly Section[]
}

export interface Section {
  readonly title: string
  /** Pieces of HTML, laid out side by side where there is room. */
  readonly figures: readonly string[]
}

const STYLE = `
:root { color-scheme: light dark;
  --page: #fcfcfb; --ink: #1a1a19; --faint: #5f5e58; --grid: #e3e2dc; --own: #1f63c4; --floor: #b35c00; --reference: #77756c;
  --c0: #a89a00; --c1: #4f9d33; --c2: #148a77; --c3: #23708c; --c4: #3b528b; --c5: #5b2a86; --c6: #8e1f7a; }
@media (prefers-color-scheme: dark) { :root {
  --page: #1a1a19; --ink: #f2f1ec; --faint: #a9a79d; --grid: #383733; --own: #6aa8ff; --floor: #f0a04b; --reference: #a09e94;
  --c0: #fde725; --c1: #90d743; --c2: #35b779; --c3: #3fb6c4; --c4: #7aa5e6; --c5: #b094ea; --c6: #ea86cf; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 92rem; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p { color: var(--faint); max-width: 60rem; margin: .3rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; max-width: 40rem; } figcaption { font-weight: 600; font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--faint); } svg .axis { fill: var(--ink); }
.grid { stroke: var(--grid); stroke-width: 1; }
path { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: 0; padding: 0; font-size: .8rem; color: var(--faint); }
.legend li { display: flex; align-items: center; gap: .35rem; } svg.key { width: 22px; flex: none; }
.line-own path { stroke: var(--own); stroke-width: 2.4; } .line-own circle { fill: var(--own); }
.line-floor path { stroke: var(--floor); stroke-dasharray: 6 3; } .line-floor circle { fill: var(--floor); }
.line-reference path { stroke: var(--reference); stroke-dasharray: 2 3; } .line-reference circle { fill: var(--reference); }
${[0, 1, 2, 3, 4, 5, 6].map(index => `.line-${index} path { stroke: var(--c${index}); } .line-${index} circle { fill: var(--c${index}); }`).join('\n')}
rect.bar-own { fill: var(--own); } rect.bar-floor { fill: var(--floor); } rect.bar-peer { fill: var(--reference); }
.scroll { overflow-x: auto; grid-column: 1 / -1; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
`

/** The whole page as text. */
export function renderPage(page: Page): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}</title>
<style>${STYLE}</style>
<h1>${escapeHtml(page.title)}</h1>
${page.notes.map(note => `<p>${escapeHtml(note)}</p>`).join('\n')}
${page.sections.map(renderSection).join('\n')}
</html>
`
}

/** A table as a figure of a section. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map(cell => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
  const body = rows.map(cells => row('td', cells)).join('\n')
  return `<div class="scroll"><table>\n<thead>${row('th', head)}</thead>\n<tbody>\n${body}\n</tbody>\n</table></div>`
}

function renderSection({ title, figures }: Section): string {
  return `<section>\n<h2>${escapeHtml(title)}</h2>\n<div class="figures">\n${figures.join('\n')}\n</div>\n</section>`
}
