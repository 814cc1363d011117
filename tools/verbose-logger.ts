import { type Logger, pino } from 'pino'
import type { Terminal } from './output.ts'

/** The engine's log on stderr, if it is asked for; the engine is silent without a logger. */
export function verboseLogger(isVerbose: boolean | undefined, terminal: Terminal): Logger | undefined {
  return isVerbose === true ? pino({ level: 'debug' }, terminal.stderr) : undefined
}
