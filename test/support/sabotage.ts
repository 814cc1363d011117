import type { Disk, DiskFile } from '../../src/disk/disk.ts'

/** What a broken disk, or a broken use of it, does instead. */
export interface Sabotage {
  readonly disk?: (disk: Disk) => Partial<Disk>
  readonly file?: (file: DiskFile) => Partial<DiskFile>
}

/** The disk with some of its methods replaced: for showing that a check can fail. */
export function sabotaged(disk: Disk, { disk: onDisk = () => ({}), file: onFile = () => ({}) }: Sabotage): Disk {
  const changed = replaced(disk, onDisk(disk))
  return replaced(changed, {
    open: async (path, mode) => {
      const file = await disk.open(path, mode)
      return replaced(file, onFile(file))
    },
  })
}

/** Private fields need their own object: methods that stay are bound to it. */
function replaced<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const method = methods[name as keyof T] ?? target[name as keyof T]
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}
