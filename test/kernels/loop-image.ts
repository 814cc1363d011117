import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MIB } from '../../src/core/limits.ts'

export type FileSystem = 'ext4' | 'xfs'

/** mkfs.xfs makes none smaller. */
const XFS_SIZE = 300 * MIB
const EXT4_SIZE = 64 * MIB

const CUT_IN_PYTHON = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))`

/** A file system in a file, mounted through a loop device: a disk whose power can be cut. */
export class LoopImage {
  readonly mountPoint: string
  readonly #image: string
  #isMounted = false

  private constructor(image: string, mountPoint: string) {
    this.#image = image
    this.mountPoint = mountPoint
  }

  /** @param directory where the image and the mount point are made. */
  static make(fileSystem: FileSystem, directory: string, words: readonly string[] = []): LoopImage {
    const image = join(directory, `${fileSystem}.image`)
    const mountPoint = join(directory, fileSystem)
    rmSync(image, { force: true })
    writeFileSync(image, '')
    truncateSync(image, fileSystem === 'xfs' ? XFS_SIZE : EXT4_SIZE)
    run(`mkfs.${fileSystem}`, ['-q', ...(fileSystem === 'xfs' ? ['-f'] : ['-F']), ...words, image])
    mkdirSync(mountPoint, { recursive: true })
    return new LoopImage(image, mountPoint)
  }

  mount(options: readonly string[] = []): void {
    run('mount', ['-o', ['loop', ...options].join(','), this.#image, this.mountPoint])
    this.#isMounted = true
  }

  unmount(): void {
    if (!this.#isMounted) return
    const open = openFilesBelow(this.mountPoint)
    if (open.length > 0) throw new Error(`files of a closed store are open: ${open.join(', ')}`)
    run('umount', [this.mountPoint])
    this.#isMounted = false
  }

  /**
   * What is not on the disk by now never gets there, and every call fails until it is mounted anew. A sync that is under way
   * may come back as if it had succeeded: what is acked from now on proves nothing.
   */
  cutPower(): void {
    // -x: also where the file system is none of its own.
    if (hasCommand('xfs_io')) run('xfs_io', ['-x', '-c', 'shutdown', this.mountPoint])
    else run('python3', ['-c', CUT_IN_PYTHON, this.mountPoint])
  }

  /**
   * Requests to the device become single pages. The loop driver takes a short write to its file for a whole one, which would be a
   * disk that lies; a page is written or it is not.
   */
  splitRequests(): void {
    const device = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map(line => line.split(' '))
      .find(([, mountPoint]) => mountPoint === this.mountPoint)![0]!
    writeFileSync(`/sys/block/${basename(device)}/queue/max_sectors_kb`, '4')
  }

  /** In whatever state it is: who comes next gets a new one. */
  remove(): void {
    if (this.#isMounted) run('umount', ['-l', this.mountPoint])
    this.#isMounted = false
    rmSync(this.#image, { force: true })
  }
}

/** What this process has open: it has closed its stores when it asks. */
function openFilesBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(descriptor => {
    try {
      const path = readlinkSync(join('/proc/self/fd', descriptor))
      return path.startsWith(`${directory}/`) ? [path] : []
    } catch {
      return []
    }
  })
}

/** Why such a file system can't be made, mounted and cut off here; null when it can. */
export function loopImageUnavailable(fileSystem: FileSystem): string | null {
  if (!hasCommand(`mkfs.${fileSystem}`)) return `there is no mkfs.${fileSystem} (package ${PACKAGES[fileSystem]})`
  if (!hasCommand('xfs_io') && !hasCommand('python3')) return 'there is neither xfs_io nor python3 to cut the power with'
  if (!existsSync('/dev/loop-control')) return 'there are no loop devices'
  return null
}

const PACKAGES: Readonly<Record<FileSystem, string>> = { ext4: 'e2fsprogs', xfs: 'xfsprogs' }

export function hasCommand(name: string): boolean {
  const paths = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
  return paths.some(path => existsSync(join(path, name)))
}

export function run(command: string, words: readonly string[]): void {
  try {
    execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    throw new Error(`${command} ${words.join(' ')}: ${String((error as { stderr?: unknown }).stderr ?? error)}`)
  }
}
