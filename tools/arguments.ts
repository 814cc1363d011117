import { type ParseArgsConfig, parseArgs } from 'node:util'
import type { Terminal } from './output.ts'

/** A mistake of whoever typed the command: one line, exit status 2. */
export class UsageError extends Error {}

/** One subcommand. */
export interface Command {
  readonly name: string
  /** One line for the overview. */
  readonly summary: string
  readonly help: string
  /** @returns the exit status. @throws UsageError, and whatever the store throws. */
  run(argv: readonly string[], terminal: Terminal): Promise<number>
}

/** What every subcommand may end with. */
export const ExitStatus = { fine: 0, damage: 1, usage: 2, wrongIndex: 3, interrupted: 130 } as const

/** Takes a command line apart. @throws UsageError */
export function parseArguments<const Options extends NonNullable<ParseArgsConfig['options']>>(
  argv: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (typeof code !== 'string' || !code.startsWith('ERR_PARSE_ARGS')) throw error
    // Node adds advice behind the first sentence or line.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!)
  }
}

/** @throws UsageError unless there are as many arguments as names; a name that ends with `?` may be left out. */
export function checkCount(positionals: readonly string[], names: readonly string[]): void {
  const required = names.filter(name => !name.endsWith('?'))
  if (positionals.length < required.length) throw new UsageError(`<${required[positionals.length]}> is missing`)
  if (positionals.length > names.length) throw new UsageError(`one argument too many: '${positionals[names.length]}'`)
}

/** @throws UsageError unless `text` is a whole number from `min`. */
export function wholeNumber(text: string | undefined, option: string, fallback: number, min = 0): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
    throw new UsageError(`--${option} must be a whole number from ${min}, got '${text}'`)
  }
  return value
}
