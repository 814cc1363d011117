import { InvalidArgumentError } from '../core/errors.ts'
import type { AppendCondition } from '../core/events.ts'
import { shown } from '../core/json-text.ts'
import { encodeEventType, encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { LogPosition } from '../core/positions.ts'
import type { ConditionTerms } from '../writer/append-terms.ts'

const FIELDS: ReadonlySet<string> = new Set<keyof AppendCondition>(['failIf', 'after'])
const FAIL_IF_FIELDS: ReadonlySet<string> = new Set<keyof AppendCondition['failIf']>(['types', 'streams'])

/** @throws InvalidArgumentError */
export function encodeCondition(condition: AppendCondition): ConditionTerms {
  if (typeof condition !== 'object' || condition === null || typeof condition.failIf !== 'object' || condition.failIf === null) {
    throw new InvalidArgumentError('a condition is { failIf: { types?, streams? }, after }')
  }
  const { failIf, after } = condition
  checkOptionNames(condition, FIELDS, 'field of a condition')
  checkOptionNames(failIf, FAIL_IF_FIELDS, 'field of failIf')
  const types = checkList(failIf.types, 'types')
  const streams = checkList(failIf.streams, 'streams')
  if (types === null && streams === null) throw new InvalidArgumentError('failIf needs types or streams')
  if (!Number.isSafeInteger(after) || after < 0) throw new InvalidArgumentError(`after must be a position, got ${shown(after)}`)
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
  // An empty list would guard against nothing.
  if (!Array.isArray(list) || list.length === 0)
    throw new InvalidArgumentError(`failIf.${what} must be a list with at least one name`)
  // A copy: the caller's list may change before the append is decided. What is named twice would be shown twice.
  return [...new Set(list as string[])]
}
