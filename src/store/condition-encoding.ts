import { InvalidArgumentError } from '../core/errors.ts'
import type { AppendCondition } from '../core/events.ts'
import { encodeEventType, encodeStreamName } from '../core/names.ts'
import { LogPosition } from '../core/positions.ts'
import type { ConditionTerms } from '../writer/append-terms.ts'

/** @throws InvalidArgumentError */
export function encodeCondition(condition: AppendCondition): ConditionTerms {
  if (typeof condition !== 'object' || condition === null || typeof condition.failIf !== 'object' || condition.failIf === null) {
    throw new InvalidArgumentError('a condition is { failIf: { types?, streams? }, after }')
  }
  const { failIf, after } = condition
  const types = checkList(failIf.types, 'types')
  const streams = checkList(failIf.streams, 'streams')
  if (types === null && streams === null) throw new InvalidArgumentError('failIf needs types or streams')
  if (!Number.isSafeInteger(after) || after < 0) throw new InvalidArgumentError(`after must be a position, got ${String(after)}`)
  streams?.forEach(encodeStreamName)
  return {
    types: types?.map(encodeEventType) ?? null,
    streams,
    after: LogPosition.of(after),
    checkedUpTo: LogPosition.start,
    isRefuted: false,
  }
}

function checkList(list: unknown, what: string): readonly string[] | null {
  if (list === undefined) return null
  if (!Array.isArray(list)) throw new InvalidArgumentError(`failIf.${what} must be a list`)
  return list as string[]
}
