import { execFileSync } from 'node:child_process'
import type { Rig, RigOptions, RigReport } from '../proof/rig.ts'
import { ChildProgram } from './child-program.ts'

/**
 * A rig that mounts. It runs in a process with a mount namespace of its own: when that ends, in whatever way, the kernel undoes
 * its mounts and lets go of its loop devices.
 */
export class NamespacedRig implements Rig {
  readonly inner: Rig
  readonly name: string
  readonly about: string

  constructor(inner: Rig) {
    this.inner = inner
    this.name = inner.name
    this.about = inner.about
  }

  async unavailable(): Promise<string | null> {
    if (process.platform !== 'linux') return 'it mounts file systems of Linux'
    if (process.getuid?.() !== 0) return 'it mounts, so it needs root'
    const reason = reasonWithout('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'])
    return reason ?? this.inner.unavailable()
  }

  async run(options: RigOptions, progress: (line: string) => void): Promise<RigReport> {
    const main = new ChildProgram('namespaced-main', [this.name, JSON.stringify(options)], ['unshare', '-m'])
    let report: RigReport | null = null
    main.listen(line => {
      if (line === null) return
      if (line.startsWith('progress ')) progress(line.slice('progress '.length))
      else if (line.startsWith('report ')) report = JSON.parse(line.slice('report '.length)) as RigReport
    })
    await main.ended
    if (report === null) throw new Error(`the rig ${this.name} ended without a report: ${main.complaints}`)
    return report
  }
}

/** Null when the command works here. */
export function reasonWithout(command: string, words: readonly string[]): string | null {
  try {
    execFileSync(command, words, { stdio: 'ignore' })
    return null
  } catch {
    return `\`${[command, ...words].join(' ')}\` does not work here`
  }
}
