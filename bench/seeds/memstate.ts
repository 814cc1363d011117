import { EventStore } from 'tailrace'
import type { Figures } from '../support/figures.ts'

/** memstate's write programme: so many commands at once, awaited together; several times. */
export interface MemstateSpec {
  readonly directory: string
  readonly durability: 'fsync' | 'os'
  readonly runs: number
  readonly commands: number
}

export async function measureMemstate({ directory, durability, runs, commands }: MemstateSpec): Promise<Figures> {
  const store = await EventStore.open(directory, { durability })
  const rates: number[] = []
  for (let run = 0; run < runs; run++) {
    const startedAt = performance.now()
    await Promise.all(
      Array.from({ length: commands }, (_, index) =>
        store.append('commands', { type: 'Set', data: { key: `key-${index}`, value: index } }),
      ),
    )
    rates.push((commands / (performance.now() - startedAt)) * 1000)
  }
  await store.close()
  return {
    commandsPerSecond: rates.reduce((sum, rate) => sum + rate, 0) / runs,
    leastPerSecond: Math.min(...rates),
    mostPerSecond: Math.max(...rates),
  }
}
