import { readFile } from 'node:fs/promises'

/** @type {{ file: string, find: string, replace: string }[]} */
let edits = []
const ROOT = new URL('../../', import.meta.url)

export function initialize(data) {
  edits = JSON.parse(data)
}

export async function load(url, context, nextLoad) {
  const own = edits.filter(({ file }) => url.split('?')[0] === new URL(file, ROOT).href)
  if (own.length === 0) return nextLoad(url, context)
  let source = await readFile(new URL(url.split('?')[0]), 'utf8')
  for (const { file, find, replace } of own) {
    if (source.split(find).length !== 2) throw new Error(`${file}: the edit does not match once`)
    source = source.replace(find, () => replace)
  }
  return { format: 'module', source, shortCircuit: true }
}
