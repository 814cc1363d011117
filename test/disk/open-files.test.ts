import { describe, expect, test } from 'vitest'
import { OpenFiles } from '../../src/disk/open-files.ts'

/** A file that notes when it was closed for now. */
class File {
  isIdle = true
  closedCount = 0

  async closeForNow(): Promise<void> {
    this.closedCount++
  }
}

const files = (count: number) => Array.from({ length: count }, () => new File())
const closedOf = (some: readonly File[]) => some.map(file => file.closedCount)

describe('of files that are only read', () => {
  test('so many stay open', () => {
    const open = new OpenFiles(3)
    const some = files(3)
    for (const file of some) open.used(file)
    expect(closedOf(some)).toEqual([0, 0, 0])
  })

  test('the one that was not read for longest is closed for one more', () => {
    const open = new OpenFiles(3)
    const some = files(4)
    for (const file of some.slice(0, 3)) open.used(file)
    open.used(some[0]!)
    open.used(some[3]!)
    expect(closedOf(some)).toEqual([0, 1, 0, 0])
  })

  test('none is closed while it is read', () => {
    const open = new OpenFiles(2)
    const some = files(3)
    some[0]!.isIdle = false
    for (const file of some) open.used(file)
    expect(closedOf(some)).toEqual([0, 1, 0])
  })

  test('more than that are open while all of them are read, and are closed when one more is used', () => {
    const open = new OpenFiles(1)
    const some = files(3)
    for (const file of some) {
      file.isIdle = false
      open.used(file)
    }
    expect(closedOf(some)).toEqual([0, 0, 0])
    for (const file of some) file.isIdle = true
    some[0]!.isIdle = false
    open.used(some[0]!)
    expect(closedOf(some)).toEqual([0, 1, 1])
  })

  test('half of those that nobody reads make room, the ones that were read last stay', async () => {
    const open = new OpenFiles(9)
    const some = files(6)
    some[0]!.isIdle = false
    for (const file of some) open.used(file)
    expect(await open.makeRoom()).toBe(true)
    expect(closedOf(some)).toEqual([0, 1, 1, 1, 0, 0])
  })

  test('half of them make room for all who ask at once', async () => {
    const open = new OpenFiles(9)
    const some = files(4)
    for (const file of some) open.used(file)
    expect(await Promise.all([open.makeRoom(), open.makeRoom(), open.makeRoom()])).toEqual([true, true, true])
    expect(closedOf(some)).toEqual([1, 1, 0, 0])
    expect(await open.makeRoom()).toBe(true)
    expect(closedOf(some)).toEqual([1, 1, 1, 0])
  })

  test('none can make room while all of them are read', async () => {
    const open = new OpenFiles(9)
    const some = files(2)
    for (const file of some) {
      file.isIdle = false
      open.used(file)
    }
    expect(await open.makeRoom()).toBe(false)
    expect(closedOf(some)).toEqual([0, 0])
  })

  test('one that was closed for good does not count', () => {
    const open = new OpenFiles(1)
    const some = files(2)
    open.used(some[0]!)
    open.closed(some[0]!)
    open.used(some[1]!)
    expect(closedOf(some)).toEqual([0, 0])
  })
})
