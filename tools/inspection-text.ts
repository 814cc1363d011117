import { unreachable } from '#engine/core/unreachable.ts'
import { MAP_LEGEND, mapRows } from './chunk-map.ts'
import type { ChunkEndItem, ChunkItem, IndexItem, InspectionItem, RecordItem, StoreItem } from './inspection-items.ts'
import { bytesText, count, printable } from './output.ts'
import { damageText } from './survey/damage.ts'

/** Payloads are cut off here; --json shows them whole. */
const SHOWN_PAYLOAD_LENGTH = 2000

const TABLE_HEAD = '    position  record      size  checksum  revision  commit   event type            stream'

/** Items as lines for people. */
export class InspectionText {
  #isTableOpen = false

  lines(item: InspectionItem): string[] {
    if (item.kind === 'record') {
      const lines = this.#isTableOpen ? recordLines(item) : [TABLE_HEAD, ...recordLines(item)]
      this.#isTableOpen = true
      return lines
    }
    if (item.kind === 'chunk-end') this.#isTableOpen = false
    return otherLines(item)
  }
}

function otherLines(item: Exclude<InspectionItem, RecordItem>): string[] {
  switch (item.kind) {
    case 'store':
      return storeLines(item)
    case 'chunk':
      return chunkLines(item)
    case 'damage':
      return [`  DAMAGE  ${damageText(item.damage)}`]
    case 'unproven':
      return [printable(`  torn tail or in flight: position ${item.position}, ${item.size} bytes: ${item.what}`)]
    case 'zeros':
      return [`${cell(item.position, 12)}  ${item.size} zeros up to the end of the file`]
    case 'chunk-end':
      return chunkEndLines(item)
    case 'index':
      return indexLines(item)
    case 'totals':
      return totalLines(item)
    default:
      return unreachable(item)
  }
}

function totalLines(item: Extract<InspectionItem, { kind: 'totals' }>): string[] {
  const { chunks, recordBytes, damages } = item
  return [
    '',
    `${count(chunks, 'chunk')}: ${recordCounts(item)} in ${bytesText(recordBytes)}; ${count(damages, 'damage')}`,
    `map: ${MAP_LEGEND}`,
  ]
}

function storeLines({ path, id, chunks, hinted, holderPid, notes }: StoreItem): string[] {
  const holder = holderPid === null ? '' : `, open in process ${holderPid}`
  const durable = hinted === null ? 'no flushed hint' : `flushed hint: everything before ${hinted} is durable`
  return [
    `${printable(path)}: store ${id ?? 'whose id is lost'}, ${count(chunks, 'chunk')}${holder}`,
    durable,
    ...notes.map(note => printable(`note: ${note}`)),
  ]
}

function chunkLines(item: ChunkItem): string[] {
  const { header, start, chunkSize, guessedFrom, footer } = item
  const place = start === null ? 'its place is not known' : `from position ${start}`
  const span = chunkSize === null ? '' : `, ${chunkSize} positions`
  const lines = ['', `${printable(item.file)}: ${item.size} bytes, ${place}${span}`]
  lines.push(
    header === 'ok'
      ? `  header  ok: chunk ${item.number} of store ${item.storeId}, created ${item.created}${rewrittenText(item)}`
      : `  header  ${header}${guessedFrom === null ? '' : `; place and store taken from ${guessedFrom}`}`,
  )
  if (footer === 'ok') {
    lines.push(
      `  footer  ok: completed with ${count(item.eventCount!, 'event')}, ${item.dataSize} bytes in ${count(item.blockCount!, 'block')}`,
    )
  } else lines.push(`  footer  ${footer === 'none' ? 'none: not completed' : footer}`)
  return lines
}

function indexLines(item: IndexItem): string[] {
  const { file, size, pages, firstChunk, lastChunk, isPartial, start, end, pageCount, storeId } = item
  const lines = ['', `${printable(file)}: ${size} bytes, an index of the log`]
  if (storeId !== null) {
    const chunks = isPartial ? `the beginning of chunk ${firstChunk}` : `chunks ${firstChunk} to ${lastChunk}`
    lines.push(`  covers  ${chunks} of store ${storeId}, positions ${start} to ${end}`)
    const { eventCount, streamCount, typeCount, idCount } = item
    const events = `${count(eventCount!, 'event')} in ${count(streamCount!, 'stream')}`
    lines.push(`  holds   ${events}, ${count(typeCount!, 'event type')}, ${count(idCount!, 'supplied id')}`)
  }
  lines.push(
    pages === 'ok'
      ? `  pages   ok: ${count(pageCount!, 'page')}`
      : `  pages   ${printable(pages)}; no damage of the store, which makes it again from the log`,
  )
  return lines
}

function rewrittenText({ generation }: ChunkItem): string {
  return generation === null || generation === 0 ? '' : `, rewritten ${generation === 1 ? 'once' : `${generation} times`}`
}

function recordLines(item: RecordItem): string[] {
  const head = `${cell(item.position, 12)}  ${item.type.padEnd(7)} ${cell(item.size, 8)}  ${item.checksum.padEnd(8)}`
  if (item.type === 'commit')
    return [`${head}  ${' '.repeat(8)}  commits ${count(item.eventCount!, 'event')} from ${item.firstPrepare}`]
  if (item.type === 'proof') return [`${head}  ${' '.repeat(8)}  everything before ${item.proves ?? 0} is durable`]
  if (item.type === 'stub') return [`${head}  ${stubText(item)}`]
  const names = `${printable(item.eventType!).padEnd(20)}  ${printable(item.stream!)}`
  return [`${head}  ${cell(item.revision!, 8)}  ${item.commit!.padEnd(7)}  ${names}`, ...payloadLines(item)]
}

function stubText({ stream, revision, eventType }: RecordItem): string {
  const name = stream === undefined ? '' : `  ${printable(stream)}`
  return `${cell(revision ?? '', 8)}  ${'gone'.padEnd(7)}  ${printable(eventType ?? '').padEnd(20)}${name}`.trimEnd()
}

function payloadLines({ data, dataBase64, metadata, metadataBase64 }: RecordItem): string[] {
  const lines: string[] = []
  if (data !== undefined) lines.push(payloadLine('data', JSON.stringify(data)))
  if (dataBase64 !== undefined) lines.push(payloadLine('data in base64', dataBase64))
  if (metadata !== undefined) lines.push(payloadLine('metadata', JSON.stringify(metadata)))
  if (metadataBase64 !== undefined) lines.push(payloadLine('metadata in base64', metadataBase64))
  return lines
}

function payloadLine(name: string, text: string): string {
  const shown = printable(text.slice(0, SHOWN_PAYLOAD_LENGTH))
  return `${' '.repeat(14)}${name}: ${shown}${text.length > SHOWN_PAYLOAD_LENGTH ? ` ... (${text.length} characters)` : ''}`
}

function chunkEndLines(item: ChunkEndItem): string[] {
  const lines: string[] = []
  if (item.hidden > 0) lines.push(`  ${count(item.hidden, 'more record')}; --limit 0 shows all, --from <position> others`)
  lines.push(`  ${recordCounts(item)} in ${bytesText(item.recordBytes)}; ${count(item.damages, 'damage')}`)
  lines.push(`  map, ${bytesText(item.cellSize)} a character`, ...mapRows(item.map, item.cellSize))
  return lines
}

function recordCounts(totals: { prepares: number; commits: number; proofs: number; stubs: number }): string {
  const stubs = totals.stubs === 0 ? '' : `, ${count(totals.stubs, 'stub')}`
  return `${count(totals.prepares, 'prepare')}, ${count(totals.commits, 'commit')}, ${count(totals.proofs, 'proof')}${stubs}`
}

function cell(value: number | string, width: number): string {
  return String(value).padStart(width)
}
