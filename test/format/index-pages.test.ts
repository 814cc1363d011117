import { describe, expect, test } from 'vitest'
import { ByteWindow } from '../../src/format/byte-window.ts'
import {
  addToFilter,
  cellAt,
  firstSlotFrom,
  INDEX_PAGE_SIZE,
  isWholePage,
  mayHold,
  pageBelow,
  readCells,
  SortedPageBuilder,
  sealPage,
  slotCountOf,
  slotOffsetAt,
  writeCells,
  writeDirectory,
} from '../../src/format/index-pages.ts'
import { Random } from '../support/random.ts'

const SEED = 'index pages'

function emptyPage(): ByteWindow {
  const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
  page.bytes.fill(0)
  return page
}

describe('an index page', () => {
  test(`with any one bit flipped is refused (seed ${SEED})`, () => {
    const page = emptyPage()
    page.bytes.set(new Random(SEED).bytes(4000))
    sealPage(page, 3, 0x12345678)
    expect(isWholePage(page, 3, 0x12345678)).toBe(true)
    for (let bit = 0; bit < INDEX_PAGE_SIZE * 8; bit++) {
      page.bytes[bit >> 3]! ^= 1 << (bit & 7)
      if (isWholePage(page, 3, 0x12345678)) expect(bit).toBe('detected')
      page.bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('in another place, of another store, or of zeros is refused', () => {
    const page = emptyPage()
    expect(isWholePage(page, 0, 0x12345678)).toBe(false)
    sealPage(page, 3, 0x12345678)
    expect(isWholePage(page, 4, 0x12345678)).toBe(false)
    expect(isWholePage(page, 3, 0x12345679)).toBe(false)
  })

  test('is filled up to its checksum, and finds the first of equal hashes', () => {
    const builder = new SortedPageBuilder(emptyPage())
    const offsets: number[] = []
    // Unsigned: the highest hashes come last.
    const hashes = [0, 1, 7, 7, 7, 0x7fffffff, -2, -1, -1]
    for (const hash of hashes) offsets.push(builder.add(hash, 400))
    expect(builder.fits(1000)).toBe(false)
    const { view } = builder.page
    expect(slotCountOf(view)).toBe(9)
    expect([0, 1, 2, 7, 8, 0x7fffffff, -2, -1].map(hash => firstSlotFrom(view, hash))).toEqual([0, 1, 2, 2, 5, 5, 6, 7])
    expect(hashes.map((_, slot) => slotOffsetAt(view, slot))).toEqual(offsets)
  })

  test('of a directory leads to where a hash may begin', () => {
    const page = emptyPage()
    writeDirectory(page, [5, 10, 10, 20], [100, 101, 102, 103], 0)
    expect([0, 5, 6, 10, 11, 20, 21, -1].map(hash => pageBelow(page.view, hash))).toEqual([
      100, 100, 100, 100, 102, 102, 103, 103,
    ])
  })

  test('of events takes positions up to 2^48', () => {
    const page = emptyPage()
    writeCells(page.view, 680, 2, Float64Array.of(7, 1, 2 ** 48 - 1), 1)
    expect(cellAt(page.view, 681)).toBe(2 ** 48 - 1)
    expect(cellAt(page.view, 680)).toBe(1)
    expect(cellAt(page.view, 679)).toBe(0)
    const read = new Float64Array(3)
    readCells(page.view, 680, 2, read, 1)
    expect([...read]).toEqual([0, 1, 2 ** 48 - 1])
  })

  test(`of a filter says yes to what is there, and rarely to what is not (seed ${SEED})`, () => {
    const page = emptyPage()
    const random = new Random(SEED)
    const hashes = Array.from({ length: 51 }, () => random.next() | 0)
    for (const hash of hashes) addToFilter(page, 5, hash)
    expect(hashes.every(hash => mayHold(page, 5, hash))).toBe(true)
    let wrong = 0
    for (let i = 0; i < 10_000; i++) if (mayHold(page, 5, random.next() | 0)) wrong++
    expect(wrong).toBeLessThan(300)
    expect(hashes.some(hash => mayHold(page, 4, hash) || mayHold(page, 6, hash))).toBe(false)
  })
})
