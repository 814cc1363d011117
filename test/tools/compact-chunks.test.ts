import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { revisionOf } from '#engine/format/log-record.ts'
import { findLog } from '#engine/log/find-log.ts'
import { Scavenger } from '#engine/scavenge/scavenger.ts'
import type { InspectionItem, RecordItem } from '../../tools/inspection-items.ts'
import { chunkPath, edit, eventsOf, flipBit, run, runJson, storeWith, temporaryDirectory } from './scenes.ts'

interface Report {
  readonly eventCount: number
  readonly damageCount: number
  readonly damages: readonly { readonly kind: string; readonly file: string }[]
}

/** A store whose completed chunks keep every fourth event of each stream; the last event of each chunk's types leaves a stub. */
async function scavengedStore(): Promise<string> {
  const directory = await storeWith(200)
  const disk = new NodeDisk()
  const found = (await findLog(disk, directory, 'write'))!
  const files = { disk, directory, chunks: found.chunks }
  const { chunksReplaced } = await new Scavenger(files).run({
    judge: async ({ window, offsets }) => Uint8Array.from(offsets, offset => (revisionOf(window.view, offset) % 4 === 0 ? 0 : 1)),
  })
  expect(chunksReplaced).toBe(found.chunks.all.length - 1)
  await found.next?.close()
  await found.chunks.close()
  return directory
}

async function verify(directory: string): Promise<Report> {
  return (await runJson<Report>(['verify', directory])).values[0]!
}

describe('of a store that was scavenged', () => {
  test('verify finds no damage, and counts what is left', async () => {
    const report = await verify(await scavengedStore())
    expect(report).toMatchObject({ damageCount: 0, damages: [] })
    expect(report.eventCount).toBeGreaterThan(50)
    expect(report.eventCount).toBeLessThan(120)
  })

  test('inspect shows generations and stubs', async () => {
    const directory = await scavengedStore()
    const { status, values } = await runJson<InspectionItem>(['inspect', directory, '--limit', '0'])
    expect(status).toBe(0)
    const chunk = values.find(item => item.kind === 'chunk')
    expect(chunk).toMatchObject({ generation: 1, header: 'ok', footer: 'ok' })
    const records = values.filter((item): item is RecordItem => item.kind === 'record')
    expect(
      records.some(({ type, eventType, stream }) => type === 'stub' && eventType !== undefined && stream === undefined),
    ).toBe(true)
    const { stdout } = await run(['inspect', chunkPath(directory, 0), '--limit', '0'])
    expect(stdout).toContain('rewritten once')
    expect(stdout).toMatch(/stub +\d+ +ok +gone +(Placed|Shipped)/)
  })

  test('verify finds a turned bit anywhere in a compact chunk, and the records behind it', async () => {
    const directory = await scavengedStore()
    const whole = await verify(directory)
    const size = readFileSync(chunkPath(directory, 1)).length
    for (let offset = 0; offset < size; offset += 37) {
      flipBit(chunkPath(directory, 1), offset)
      const report = await verify(directory)
      expect(report.damageCount, `byte ${offset}`).toBeGreaterThan(0)
      expect(report.damages.every(({ file }) => file === '000001.chunk')).toBe(true)
      expect(report.eventCount).toBeGreaterThanOrEqual(whole.eventCount - 1)
      flipBit(chunkPath(directory, 1), offset)
    }
  })

  test('inspect goes on behind a damaged record of a compact chunk', async () => {
    const directory = await scavengedStore()
    const records = async () => {
      const { values } = await runJson<InspectionItem>(['inspect', chunkPath(directory, 0), '--limit', '0'])
      return values.filter((item): item is RecordItem => item.kind === 'record').map(({ position }) => position)
    }
    const before = await records()
    flipBit(chunkPath(directory, 0), 128 + 40)
    expect(await records()).toEqual(before.slice(1))
  })

  test('repair copies the events that are left, behind a damage, too', async () => {
    const directory = await scavengedStore()
    const { eventCount } = await verify(directory)
    edit(chunkPath(directory, 0), bytes => {
      bytes.fill(0x55, 128, 160)
      return undefined
    })
    const copy = join(temporaryDirectory(), 'copy')
    await run(['repair', '--accept-loss', directory, copy])
    expect(await eventsOf(copy)).toHaveLength(eventCount - 1)
  })
})
