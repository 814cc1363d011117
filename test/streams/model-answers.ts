import { expect } from 'vitest'
import { type Call, callDataOf, describeCall } from './model-calls.ts'
import type { Answer, Refusal, StoreModel } from './store-model.ts'

export type Outcome = { readonly value: unknown } | { readonly error: unknown }

interface RangeAck {
  readonly firstRevision: number | null
  readonly lastRevision: number | null
}

/** What the model makes of a call. */
export function applyCall(model: StoreModel, call: Call, nowMs: number): Answer {
  const { parts, condition, token } = call
  return model.apply(parts, condition, token, nowMs, (stream, index) => callDataOf(call, stream, index))
}

/** The store said what the model says. */
export function expectAnswer(call: Call, outcome: Outcome, answer: Answer, model: StoreModel): void {
  const label = describeCall(call)
  if (answer.kind === 'refused') {
    const refused = 'error' in outcome ? refusalOf(outcome.error) : outcome
    expect(refused, label).toEqual({ ...answer, ...withLaterConflicts(answer, refused) })
    return
  }
  if ('error' in outcome) throw new Error(`${label}: expected ${JSON.stringify(answer)}`, { cause: outcome.error })
  if (call.kind === 'setMetadata' || call.kind === 'tombstone') return
  const ack = outcome.value as { position: number; duplicate: boolean; streams?: readonly RangeAck[] } & RangeAck
  const ranges = (ack.streams ?? [ack]).map(({ firstRevision, lastRevision }) =>
    firstRevision === null ? null : [firstRevision, lastRevision],
  )
  expect(ack.duplicate, label).toBe(answer.kind === 'duplicate')
  expect(ranges, label).toEqual(answer.kind === 'checked' ? call.parts.map(() => null) : answer.ranges)
  if (answer.kind === 'duplicate') expect(ack.position, label).toBe(answer.position())
  if (answer.kind === 'written') {
    const own = model.events.filter(({ token }) => token === call.token)
    expect(ack.position, label).toBe(own.at(-1)!.position)
  }
}

/** A refusal shows what is committed by then: there may be others beside those that the model knows of. */
function withLaterConflicts({ conflicts }: Refusal, refused: Partial<Refusal>): Partial<Refusal> {
  const hasAll = conflicts?.every(place => refused.conflicts?.includes(place)) ?? false
  return hasAll ? { conflicts: refused.conflicts!, more: refused.more! } : {}
}

export function placeOf({ stream, revision }: { readonly stream: string; readonly revision: number }): string {
  return `${revision}@${stream}`
}

export function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  return promise.then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  )
}

export function codeOf(outcome: Outcome): string | undefined {
  return 'error' in outcome ? (outcome.error as { code?: string }).code : undefined
}

/** What of an error the model has an opinion of. @throws the error when it is no refusal */
export function refusalOf(error: unknown): object {
  const { code, stream, expected, actual, conflicts, more } = error as Record<string, unknown>
  switch (code) {
    case 'STREAM_DELETED':
      return { kind: 'refused', code, stream }
    case 'WRONG_EXPECTED_REVISION':
      return { kind: 'refused', code, stream, expected, actual }
    case 'CONDITION_FAILED':
      return { kind: 'refused', code, conflicts: (conflicts as { stream: string; revision: number }[]).map(placeOf), more }
    default:
      throw error
  }
}
