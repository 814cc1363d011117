import type { Recovery } from 'tailrace'
import type { AppendFigures } from './demo-appending.ts'
import type { CommandOutcome } from './demo-command.ts'
import type { Comparison } from './demo-comparison.ts'
import type { Deliveries, Delivery } from './demo-deliveries.ts'
import { bytesText, count } from './output.ts'

/** What `--json` prints, and what the text tells as it happens. */
export interface DemoReport {
  /** Nothing was lost, nothing differs, nothing is damaged. */
  readonly ok: boolean
  /** Of the store; null when it was removed. */
  readonly directory: string | null
  /** By this process and the one that was killed. */
  readonly appended: number
  /** Read back at the end, exactly as they were appended. */
  readonly compared: number
  /** Acked and not found, right after the recovery or at the end. */
  readonly lost: number
  readonly different: number
  readonly streams: number
  readonly payloads: number
  readonly firstRun: AppendFigures
  readonly kill: KillReport
  readonly secondRun: AppendFigures
  readonly comparison: Comparison
  /** Exit status of `tailrace verify`; null while that command is not built. */
  readonly verifyStatus: number | null
  readonly seconds: number
}

/** What became of the process that was killed, and of what it had appended. */
export interface KillReport {
  readonly pid: number
  /** From the first of its acks that the parent saw to its death. */
  readonly ms: number
  readonly acksSeen: number
  /** Events of its own that were found after its death. */
  readonly found: number
  /** Acks that were seen, and whose event is gone. */
  readonly lost: number
  /** Events that nobody appended yet. */
  readonly missing: number
  readonly recovery: Recovery
}

export function introduction({ all, byStream, payloadCount }: Deliveries, directory: string): string {
  return `Tailrace demo: ${figure(all.length)} GitHub webhook events (${bytesText(sizeOf(all))} of JSON, ${payloadCount} different payloads) into
${figure(byStream.size)} streams, by two processes, one of which is killed. The store is in ${directory}`
}

export function oneAppendText(delivery: Delivery, position: number, ackMs: number, flushMs: number): string {
  const { stream, revision, event, size } = delivery
  const expected = revision === 0 ? `'no_stream'` : String(revision - 1)
  return section('One append', [
    [`append('${stream}', ${event.type}, ${bytesText(size)} of JSON, expectedRevision: ${expected})`],
    ['queue', `it waits in line for the writer, and so do all that come meanwhile`],
    ['writer', `checks the revision, encodes the record, writes and syncs: ${figure(flushMs, 2)} ms for write and fdatasync`],
    ['chaser', 'follows the flushed position, finds the commit, makes the event readable, lets the ack out'],
    ['ack', `after ${figure(ackMs, 2)} ms: revision ${revision}, position ${figure(position)}; on disk and readable by everyone`],
  ])
}

export function appendText(title: string, figures: AppendFigures, inFlight: number): string {
  const { events, dataBytes, ms, acksPerSecond, p50Ms, p99Ms, flushes, eventsPerFlush } = figures
  return section(title, [
    ['events', `${figure(events)}, ${bytesText(dataBytes)}, in ${figure(ms)} ms with ${inFlight} in flight`],
    ['acks', `${figure(acksPerSecond)} a second; latency p50 ${figure(p50Ms, 2)} ms, p99 ${figure(p99Ms, 2)} ms`],
    ['flushes', `${figure(flushes)}, each a write and an fdatasync; ${figure(eventsPerFlush, 1)} events per flush`],
  ])
}

export function killText({ pid, acksSeen, ms, missing }: KillReport): string {
  const moment = missing > 0 ? 'amid its writing' : 'when it had just appended its last event'
  return section('Another process goes on, and is killed', [
    [`kill -9 ${pid}`, `${figure(ms)} ms after its first ack, ${moment}`],
    ['acks seen', `${figure(acksSeen)}, each through a pipe, up to the last`],
  ])
}

export function recoveryText({ acksSeen, found, lost, missing, recovery }: KillReport): string {
  const { clean, events, scannedBytes, truncatedBytes, ms } = recovery
  const unheard = found - (acksSeen - lost)
  return section('Recovery', [
    [
      'reopened',
      `in ${figure(ms, 1)} ms, ${clean ? 'as after a clean close' : 'as after a crash'}: ${bytesText(scannedBytes)} read record by record`,
    ],
    ['truncated', truncatedBytes === 0 ? '0 bytes: no torn tail' : `${bytesText(truncatedBytes)} of a torn tail; never acked`],
    [
      'events',
      `${figure(events)}, of which ${figure(found)} by the killed process: ${figure(acksSeen - lost)} acked, ${figure(unheard)} written before their ack got out`,
    ],
    ['lost', `${figure(lost)} of ${figure(acksSeen)} acks`],
    ['missing', `${figure(missing)}, never acked; each stream's head tells where to go on`],
  ])
}

export function comparisonText({ equal, lost, different, differences, bytes, readMs }: Comparison, appended: number): string {
  return section('Read back', [
    [
      'read',
      `${bytesText(bytes)} in ${figure(readMs)} ms: ${figure((equal / readMs) * 1000)} events a second; then each stream by itself`,
    ],
    ['compared', `${figure(equal)} of ${figure(appended)} equal in data, metadata, id, type, order, revision and acked position`],
    ['lost', figure(lost)],
    ['different', figure(different)],
    ...differences.map(difference => ['', difference]),
  ])
}

export function commandText(title: string, { lines }: CommandOutcome): string {
  return section(
    title,
    lines.filter(line => line.trim() !== '').map(line => [line]),
  )
}

export function conclusion({ ok, appended, compared, lost, different, seconds }: DemoReport): string {
  const verdict = ok
    ? `Every ack was kept: ${count(appended, 'event')} appended`
    : `NOT as it should be: ${count(appended, 'event')} appended`
  return `${verdict}, ${compared} read back equal, ${lost} lost, ${different} different. ${figure(seconds, 1)} s in all.`
}

/** Lines of a label and what there is to say; a line of one cell stands by itself. */
function section(title: string, rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(row => (row.length === 1 ? 0 : row[0]!.length)))
  return [title, ...rows.map(row => `  ${row.length === 1 ? row[0] : `${row[0]!.padEnd(width)}  ${row[1]}`}`)]
    .map(line => line.trimEnd())
    .join('\n')
}

function sizeOf(deliveries: readonly Delivery[]): number {
  return deliveries.reduce((sum, { size }) => sum + size, 0)
}

function figure(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
