import { readFile } from 'node:fs/promises'

/** Of each mutant. @type {{ file: string, find: string, replace: string }[][]} */
let edits = []
const ROOT = new URL('../../', import.meta.url).href
const MODULES = `${ROOT}node_modules/`

export function initialize(data) {
  edits = JSON.parse(data)
}

/** Whatever a module of a mutant imports belongs to the same mutant: an engine of its own, next to the others in the process. */
export async function resolve(specifier, context, nextResolve) {
  const found = await nextResolve(specifier, context)
  const number = mutantOf(context.parentURL)
  const isOwn = found.url.startsWith(ROOT) && !found.url.startsWith(MODULES)
  if (number === null || !isOwn || mutantOf(found.url) !== null) return found
  return { ...found, url: `${found.url}?mutant=${number}` }
}

export async function load(url, context, nextLoad) {
  const number = mutantOf(url)
  const path = url.split('?')[0]
  const own = number === null ? [] : edits[number].filter(({ file }) => path === new URL(file, ROOT).href)
  if (own.length === 0) return nextLoad(url, context)
  let source = await readFile(new URL(path), 'utf8')
  for (const { file, find, replace } of own) {
    if (source.split(find).length !== 2) throw new Error(`${file}: the edit does not match once`)
    source = source.replace(find, () => replace)
  }
  return { format: 'module', source, shortCircuit: true }
}

function mutantOf(url) {
  const number = /\?mutant=(\d+)$/.exec(url ?? '')?.[1]
  return number === undefined ? null : Number(number)
}
