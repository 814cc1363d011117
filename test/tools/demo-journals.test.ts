import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { makeDeliveries } from '../../tools/demo-deliveries.ts'
import { run, temporaryDirectory } from './scenes.ts'

const { all, byStream } = makeDeliveries(400)

/** A store with the demo's events, and its journals. */
async function exportedDemo(): Promise<{ readonly directory: string; readonly journals: string }> {
  const directory = join(temporaryDirectory(), 'store')
  const store = await EventStore.open(directory)
  await Promise.all(all.map(({ stream, event }) => store.append(stream, event)))
  await store.close()
  const journals = join(temporaryDirectory(), 'journals')
  expect(await run(['journal', directory, journals])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^400 events/) })
  return { directory, journals }
}

function shell(script: string, cwd: string): string {
  return execFileSync('sh', ['-c', script], { cwd, encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, LC_ALL: 'C' } })
}

/** stream, time, type and data of every event, in the order of the streams' names and of their revisions. */
async function kept(directory: string): Promise<unknown[]> {
  const { stdout } = await run(['cat', directory])
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as Record<'stream' | 'created' | 'type' | 'data', unknown> & { revision: number })
  return events
    .map(({ stream, created, type, data, revision }) => ({ stream: String(stream), revision, created, type, data }))
    .sort((one, other) => (one.stream < other.stream ? -1 : one.stream > other.stream ? 1 : one.revision - other.revision))
}

describe('journals of the demo (acceptance 6)', () => {
  test('can be read with cat: a line an event, in the order of the stream', async () => {
    const { journals } = await exportedDemo()
    const [stream, deliveries] = [...byStream].sort(([, one], [, other]) => other.length - one.length)[0]!
    const lines = shell(`cat '${encodeURIComponent(stream)}.log'`, journals)
      .split('\n')
      .slice(0, -1)
    expect(lines).toHaveLength(deliveries.length)
    for (const [revision, line] of lines.entries()) {
      const [row] = line.split('\t')
      const [, type, data] = /^\S+ (\S+) (.*)$/s.exec(row!)!
      expect([type, JSON.parse(data!)]).toEqual([deliveries[revision]!.event.type, deliveries[revision]!.event.data])
    }
    expect(Number(shell('cat *.log | wc -l', journals))).toBe(all.length)
  })

  test('can be searched with grep', async () => {
    const { journals } = await exportedDemo()
    const opened = all.filter(({ event }) => event.type === 'issues.opened').length
    expect(opened).toBeGreaterThan(0)
    expect(Number(shell("grep -h ' issues\\.opened ' *.log | wc -l", journals))).toBe(opened)
    const { event } = all[123]!
    expect(shell(`grep -l '${event.id}' *.log`, journals)).toBe(`${encodeURIComponent(all[123]!.stream)}.log\n`)
  })

  test('can be counted and sorted with awk: what of each type, and in order of time', async () => {
    const { journals } = await exportedDemo()
    const counts = new Map<string, number>()
    for (const { event } of all) counts.set(event.type, (counts.get(event.type) ?? 0) + 1)
    const counted = shell("awk '{ n[$2]++ } END { for (type in n) print type, n[type] }' *.log", journals)
    expect(
      new Map(
        counted
          .split('\n')
          .filter(Boolean)
          .map(line => [line.split(' ')[0]!, Number(line.split(' ')[1])]),
      ),
    ).toEqual(counts)
    const times = shell("sort -s -k 1,1 *.log | awk '{ print $1 }'", journals).split('\n').filter(Boolean)
    expect(times).toHaveLength(all.length)
    expect(times).toEqual([...times].sort())
  })

  test('bring stream, time, type and data back through --import', async () => {
    const { directory, journals } = await exportedDemo()
    const copy = join(temporaryDirectory(), 'copy')
    expect(await run(['journal', '--import', journals, copy])).toMatchObject({ status: 0, stderr: '' })
    const events = await kept(copy)
    expect(events).toHaveLength(all.length)
    expect(events).toEqual(await kept(directory))
  })
})
