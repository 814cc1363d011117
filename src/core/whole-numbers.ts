import { InvalidArgumentError } from './errors.ts'
import { shown } from './json-text.ts'

/** @returns the value. @throws InvalidArgumentError that names it, unless it is a whole number from `min` to `max`. */
export function checkWhole(name: string, value: unknown, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number
  const upTo = max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : ''
  throw new InvalidArgumentError(`${name} must be a whole number from ${min}${upTo}, got ${shown(value)}`)
}

/** The same of an option that may be left out. */
export function wholeOption(name: string, value: unknown, fallback: number, min: number, max?: number): number {
  return value === undefined ? fallback : checkWhole(name, value, min, max)
}

/** Where a read or a follower is to begin, if that is said. @throws InvalidArgumentError */
export function checkFrom(from: unknown): void {
  if (from === undefined || from === 'start' || from === 'end') return
  if (!Number.isSafeInteger(from) || (from as number) < 0)
    throw new InvalidArgumentError(`from must be 'start', 'end' or a whole number from 0, got ${shown(from)}`)
}
