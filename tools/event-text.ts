import type { RecordedEvent } from 'tailrace'
import { formatPayload, formatTime } from '#engine/journals/journal-row.ts'
import { printable } from './output.ts'

/** An event as a line for people: position, time, stream@revision, type, data. */
export function formatEventText(event: RecordedEvent): string {
  const { position, created, stream, revision, type } = event
  const data = event.contentType === 'json' ? event.data : event.bytes
  return printable(`${position} ${formatTime(created)} ${stream}@${revision} ${type} ${formatPayload(data)}`)
}
