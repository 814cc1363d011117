import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * The peers are not dependencies of the package: they are there only when `npm run bench:peers` has installed them, so
 * they are required when they are measured, and each adapter declares what it uses of its own.
 */
export function requirePeer(name: string): unknown {
  return require(name)
}

/** Null when the package is there; else a line that says what is missing. */
export function absentPackage(name: string): string | null {
  try {
    require.resolve(name)
    return null
  } catch {
    return `${name} is not installed: npm run bench:peers`
  }
}
