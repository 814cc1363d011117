import type { Table } from './programme.ts'
import { figure } from './table.ts'

/** One thing that was measured, and what it should be. */
export interface Outcome {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly digits?: number
  readonly atLeast?: number
  readonly atMost?: number
}

/** @param durability stands on every line: a figure without it says nothing. */
export function outcomeTable(
  title: string,
  durability: string,
  outcomes: readonly Outcome[],
  notes: readonly string[] = [],
): Table {
  return {
    title,
    head: ['what', 'durability', 'measured', 'unit', 'target', ''],
    rows: outcomes.map(({ what, value, unit, digits = 0, atLeast, atMost }) => [
      what,
      durability,
      figure(value, digits),
      unit,
      atLeast !== undefined
        ? `at least ${figure(atLeast, digits)}`
        : atMost !== undefined
          ? `at most ${figure(atMost, digits)}`
          : '-',
      verdict(value, atLeast, atMost),
    ]),
    notes,
  }
}

function verdict(value: number, atLeast: number | undefined, atMost: number | undefined): string {
  if (atLeast === undefined && atMost === undefined) return ''
  return value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY) ? 'met' : 'MISSED'
}
