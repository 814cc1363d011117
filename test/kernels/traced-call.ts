import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

/** A system call as strace wrote it down. */
export interface TracedCall {
  readonly name: string
  /** What file it was for: 'a chunk', 'the lock', ... */
  readonly kind: string
  readonly isInjected: boolean
}

/** The calls on files of the store. A call that was interrupted by those of other threads stands in two lines: its first counts. */
export function tracedCalls(output: string, store: string): TracedCall[] {
  const lines = readFileSync(output, 'utf8').split('\n')
  return lines.flatMap((line, index) => {
    const match = /^\d+ +(\w+)\((.*)/.exec(line)
    if (match === null || !match[2]!.includes(store)) return []
    const rest = match[2]!
    const isInjected = rest.includes('(INJECTED)') || isResumedInjected(lines, index)
    return [{ name: match[1]!, kind: kindOf(rest, store), isInjected }]
  })
}

function isResumedInjected(lines: readonly string[], index: number): boolean {
  const [pid] = lines[index]!.split(' ')
  if (!lines[index]!.includes('<unfinished')) return false
  const resumed = lines.slice(index + 1).find(line => line.startsWith(`${pid} `) && line.includes('resumed'))
  return resumed?.includes('(INJECTED)') ?? false
}

/** The first path of the store in the call's text says it. */
function kindOf(text: string, store: string): string {
  const path = text.slice(text.indexOf(store)).split(/[">,]/)[0]!
  if (path === store) return 'the directory'
  const name = basename(path)
  if (name.endsWith('.tmp')) return name.includes('.index') ? 'a new index file' : 'a new chunk'
  if (name.endsWith('.chunk')) return 'a chunk'
  if (name.endsWith('.index')) return 'an index file'
  return `the file '${name}'`
}
