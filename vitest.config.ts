import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['tailrace-source'] },
  ssr: { resolve: { conditions: ['tailrace-source'] } },
  // Nothing is asserted of time: what is waited for comes late on a machine that does something else, too.
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    maxWorkers: 2,
  },
})
