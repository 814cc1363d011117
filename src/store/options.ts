import type { BaseLogger } from 'pino'
import { type Clock, systemClock } from '../core/clock.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import {
  DEFAULT_CACHE_BYTES,
  DEFAULT_CHUNK_SIZE,
  DEFAULT_FLUSH_DELAY_MS,
  DEFAULT_MAX_PENDING_APPENDS,
  DEFAULT_MAX_PENDING_BYTES,
  MAX_CHUNK_SIZE,
  MIN_CHUNK_SIZE,
} from '../core/limits.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import type { Durability } from '../writer/durability.ts'

/** What of a pino instance the store calls: one with levels of its own is none of pino's type `Logger`. */
type StoreLogger = Pick<BaseLogger, 'info' | 'warn' | 'error'>

type Say = (fields: object, text: string) => void

/** Everything is optional; the defaults are safe. */
export interface StoreOptions {
  /**
   * What an ack waits for. 'fsync' (default): the bytes are on disk. 'os': the kernel has them; synced every second, survives
   * the death of the process, not that of the machine. 'memory': nothing; written in the background, synced at close.
   */
  readonly durability?: Durability | undefined
  /** Positions that a chunk spans, 4 KiB to 1 GiB; 64 MiB. A new value applies from the next chunk. */
  readonly chunkSizeBytes?: number | undefined
  /** While appends wait in the queue, unflushed writes get no older than about this; 2 ms. */
  readonly flushDelayMs?: number | undefined
  /** Bytes accepted and not settled, beyond which appends are refused with QueueFullError; 64 MiB. */
  readonly maxPendingBytes?: number | undefined
  /** Appends accepted and not settled, beyond which more are refused; 65,536. */
  readonly maxPendingAppends?: number | undefined
  /** Memory for blocks of the log that random reads came by; 32 MiB. Pages of index files get half as much beside it. */
  readonly cacheBytes?: number | undefined
  /** Opens without a lock and without a write: reads and follows a store that another process may be writing. */
  readonly readOnly?: boolean | undefined
  /** A pino instance; silent without one. */
  readonly logger?: StoreLogger | undefined
  /** Where the store has the time from; the process by default. */
  readonly clock?: Clock | undefined
}

export interface CheckedOptions {
  readonly durability: Durability
  readonly chunkSizeBytes: number
  readonly flushDelayMs: number
  readonly maxPendingBytes: number
  readonly maxPendingAppends: number
  readonly cacheBytes: number
  readonly readOnly: boolean
  /** Throws nothing. */
  readonly logger: Readonly<Record<keyof StoreLogger, Say>> | undefined
  readonly clock: Clock
}

const NAMES: ReadonlySet<string> = new Set<keyof StoreOptions>([
  'durability',
  'chunkSizeBytes',
  'flushDelayMs',
  'maxPendingBytes',
  'maxPendingAppends',
  'cacheBytes',
  'readOnly',
  'logger',
  'clock',
])

/** @throws InvalidArgumentError that names the option. */
export function checkOptions(options: StoreOptions = {}): CheckedOptions {
  checkOptionNames(options, NAMES)
  const { durability = 'fsync', readOnly = false } = options
  if (durability !== 'fsync' && durability !== 'os' && durability !== 'memory') {
    throw new InvalidArgumentError(`durability must be 'fsync', 'os' or 'memory', got ${shown(durability)}`)
  }
  if (typeof readOnly !== 'boolean') throw new InvalidArgumentError(`readOnly must be true or false, got ${shown(readOnly)}`)
  return {
    durability,
    chunkSizeBytes: wholeOption('chunkSizeBytes', options.chunkSizeBytes, DEFAULT_CHUNK_SIZE, MIN_CHUNK_SIZE, MAX_CHUNK_SIZE),
    flushDelayMs: number('flushDelayMs', options.flushDelayMs, DEFAULT_FLUSH_DELAY_MS),
    maxPendingBytes: wholeOption('maxPendingBytes', options.maxPendingBytes, DEFAULT_MAX_PENDING_BYTES, 1),
    maxPendingAppends: wholeOption('maxPendingAppends', options.maxPendingAppends, DEFAULT_MAX_PENDING_APPENDS, 1),
    cacheBytes: wholeOption('cacheBytes', options.cacheBytes, DEFAULT_CACHE_BYTES, 0),
    readOnly,
    logger: unfailing(having('logger', options.logger, ['info', 'warn', 'error'])),
    clock: having('clock', options.clock, ['now', 'monotonic', 'after']) ?? systemClock,
  }
}

/** What lacks a method would show it amid the open, or later. */
function having<T extends object>(name: string, value: T | undefined, methods: readonly (keyof T & string)[]): T | undefined {
  if (value === undefined) return undefined
  const missing = methods.find(method => typeof value?.[method] !== 'function')
  if (missing !== undefined) throw new InvalidArgumentError(`${name} must have a method '${missing}'`)
  return value
}

/** Where it writes to, the disk may be full just when it is to say so of the store's: who waits for an ack must be told all the same. */
function unfailing(logger: StoreLogger | undefined): CheckedOptions['logger'] {
  if (logger === undefined) return undefined
  const at =
    (level: keyof StoreLogger): Say =>
    (fields, text) => {
      try {
        logger[level](fields, text)
      } catch {
        // There is nobody else to tell.
      }
    }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

function number(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError(`${name} must be a number from 0, got ${shown(value)}`)
  return value
}
