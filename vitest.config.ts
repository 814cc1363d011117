import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['tailrace-source'] },
  ssr: { resolve: { conditions: ['tailrace-source'] } },
  test: { include: ['test/**/*.test.ts'], testTimeout: 180_000, pool: 'forks', maxWorkers: 2 },
})
