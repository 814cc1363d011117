import { statfsSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** What a reader must know of the machine to judge the numbers; nothing that names it. */
export interface Machine {
  readonly node: string
  readonly system: string
  readonly cpu: string
  readonly cpuCount: number
  readonly memoryGiB: number
  readonly filesystem: string
  /** Of the last minute, when the run began: others at work here show in the numbers. */
  readonly loadAverage: number
}

const FILESYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  4076150800: 'f2fs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
  1702057286: 'fuse',
}

/** File systems that hold files in memory: there, a sync syncs nothing. */
export const MEMORY_FILESYSTEM = 'tmpfs'

/** Looks at this machine, and at the file system of the directory that the data goes to. */
export function lookAtMachine(directory: string): Machine {
  return {
    node: process.version,
    system: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() || 'unknown',
    cpuCount: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    filesystem: filesystemOf(directory),
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}

/** One line of facts. */
export function describeMachine(machine: Machine): string {
  const { node, system, cpu, cpuCount, memoryGiB, filesystem, loadAverage } = machine
  return `Node ${node} · ${cpu} x ${cpuCount} · ${memoryGiB} GiB · ${system} · ${filesystem} · load ${loadAverage}`
}

function filesystemOf(directory: string): string {
  const { type } = statfsSync(directory)
  // The magic numbers mean this on Linux only; elsewhere the number itself is all there is.
  return (platform() === 'linux' ? FILESYSTEMS[type] : undefined) ?? `file system 0x${type.toString(16)}`
}
