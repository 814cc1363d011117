import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutants.ts'

test.each(MUTANTS.map(({ name, edits }) => [name, edits] as const))('%s: each edit matches exactly once', (_, edits) => {
  for (const { file, find, replace } of edits) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    expect(source.split(find).length - 1, `${file}: ${find}`).toBe(1)
    expect(replace).not.toBe(find)
  }
})
