import { InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { encodeEventType, encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { eventTypeOffsetOf, eventTypeSizeOf, streamOffsetOf, streamSizeOf } from '../format/log-record.ts'
import { hashOf } from './stream-hash.ts'

/**
 * Which events are meant. A stream is meant when it is one of `streams` or begins with `streamPrefix`, a type likewise; an event
 * when both its stream and its type are. What is not said means all. Prefixes are compared byte by byte, in UTF-8.
 */
export interface EventFilter {
  readonly streams?: readonly string[] | undefined
  readonly streamPrefix?: string | undefined
  readonly types?: readonly string[] | undefined
  readonly typePrefix?: string | undefined
}

const FIELDS: ReadonlySet<string> = new Set<keyof EventFilter>(['streams', 'streamPrefix', 'types', 'typePrefix'])
const DOLLAR = 0x24

/** The events that a reader gets, told by the bytes of their records: no string is made for an event that is left out. */
export class EventSelection {
  readonly #includeSystem: boolean
  readonly #streams: NameSet | null
  readonly #types: NameSet | null

  /** @throws InvalidArgumentError */
  constructor(filter: EventFilter | undefined, includeSystem = false) {
    if (filter !== undefined) checkFilter(filter)
    if (typeof includeSystem !== 'boolean')
      throw new InvalidArgumentError(`includeSystem must be true or false, got ${shown(includeSystem)}`)
    this.#includeSystem = includeSystem
    this.#streams = nameSet(filter?.streams, filter?.streamPrefix, encodeStreamName)
    this.#types = nameSet(filter?.types, filter?.typePrefix, encodeEventType)
  }

  /** Whether the prepare at `offset` is meant. */
  has({ bytes, view }: ByteWindow, offset: number): boolean {
    const streamOffset = streamOffsetOf(view, offset)
    if (!this.#includeSystem && bytes[streamOffset] === DOLLAR) return false
    if (this.#streams !== null && !this.#streams.has(bytes, streamOffset, streamSizeOf(view, offset))) return false
    return this.#types === null || this.#types.has(bytes, eventTypeOffsetOf(view, offset), eventTypeSizeOf(view, offset))
  }
}

/** Leaves nothing out, nor the store's own. */
export const EVERY_EVENT = new EventSelection(undefined, true)

/** Names by their bytes: some, and all that begin with a prefix. */
class NameSet {
  readonly #prefix: Uint8Array | null
  readonly #names = new Map<number, Uint8Array[]>()

  constructor(names: readonly Uint8Array[], prefix: Uint8Array | null) {
    this.#prefix = prefix
    for (const name of names) {
      const hash = hashOf(name, 0, name.length)
      const others = this.#names.get(hash)
      if (others === undefined) this.#names.set(hash, [name])
      else others.push(name)
    }
  }

  has(bytes: Uint8Array, offset: number, size: number): boolean {
    const prefix = this.#prefix
    if (prefix !== null && prefix.length <= size && isAt(prefix, bytes, offset)) return true
    if (this.#names.size === 0) return false
    const candidates = this.#names.get(hashOf(bytes, offset, size))
    return candidates?.some(name => name.length === size && isAt(name, bytes, offset)) ?? false
  }
}

function isAt(name: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[offset + i]) return false
  return true
}

function checkFilter(filter: unknown): void {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw new InvalidArgumentError('filter must be an object')
  // A misspelt field would mean everything.
  checkOptionNames(filter, FIELDS, 'field of a filter')
}

function nameSet(names: unknown, prefix: unknown, encode: (name: unknown) => Uint8Array): NameSet | null {
  if (names === undefined && prefix === undefined) return null
  if (names !== undefined && !(Array.isArray(names) && names.length > 0))
    throw new InvalidArgumentError('streams and types of a filter must be arrays of names, with at least one')
  return new NameSet(((names as unknown[]) ?? []).map(encode), prefix === undefined ? null : encode(prefix))
}
