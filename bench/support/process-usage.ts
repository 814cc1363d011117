import { readdirSync, readFileSync } from 'node:fs'

/** The kernel counts processor time in these, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** The processes and all that they started; read from /proc, so elsewhere none. */
export function processTree(pids: readonly number[]): number[] {
  const parents = new Map<number, number>()
  for (const name of entriesOf('/proc')) {
    const fields = /^\d+$/.test(name) ? statOf(Number(name)) : null
    if (fields !== null) parents.set(Number(name), Number(fields[1]))
  }
  const tree = new Set(pids.filter(pid => parents.has(pid)))
  for (let before = -1; before !== tree.size; ) {
    before = tree.size
    for (const [pid, parent] of parents) if (tree.has(parent)) tree.add(pid)
  }
  return [...tree]
}

/** Processor seconds of this process and of those that work for it, since they began. */
export function cpuSeconds(serverPids: readonly number[] = []): number {
  const { user, system } = process.cpuUsage()
  const own = (user + system) / 1e6
  if (serverPids.length === 0) return own
  const ticks = processTree(serverPids).map(pid => {
    const fields = statOf(pid)
    return fields === null ? 0 : Number(fields[11]) + Number(fields[12])
  })
  return own + ticks.reduce((sum, count) => sum + count, 0) / TICKS_PER_SECOND
}

/** The most memory that this process ever had at once, in MiB. */
export function peakMemoryMiB(): number {
  return process.resourceUsage().maxRSS / 1024
}

/** Memory that this process has now, in MiB. */
export function memoryMiB(): number {
  return process.memoryUsage.rss() / 2 ** 20
}

/** What /proc says behind the name of the command: state, parent, ... */
function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
