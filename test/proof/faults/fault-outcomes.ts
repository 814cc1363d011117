import type { Cell } from './call-site.ts'

/**
 * What may come of a fault, as what the step told, and whether the store goes on without a reopen:
 * F8, F9 a failed write or sync finishes the writer, and what it held is unknown; F10 a full disk is a rejection, and appends go
 * on; F11 a chunk that can't be made is a rejection; F14 a disk that can't be written is said so at open; F29 a failed read is said
 * so, and nothing else. What is no truth of its own (hint, index) costs nothing but itself.
 */
export function allowedOutcomes(cell: Cell): readonly string[] {
  return PHASES[cell.phase]!(cell)
}

type Rule = (cell: Cell) => readonly string[]

const isFull = ({ error }: Cell) => error === 'ENOSPC' || error === 'EDQUOT'
const system = ({ error }: Cell) => `the system's ${error}`

/** Of a step that ends without the writer. @param refused where the disk can't be written. */
const failureOf = (cell: Cell, refused: string) => (isFull(cell) ? 'DISK_FULL' : cell.error === 'EROFS' ? refused : 'READ_FAILED')

const FINISHED = 'then WRITER_FAILED rejected'

const opening: Rule = cell => {
  // What it would have told is asked for in another way.
  if (cell.op === 'readOnce') return ['done, goes on']
  const code = failureOf(cell, 'READ_ONLY_STORE')
  const isLook = cell.op === 'read' || cell.op === 'size'
  return [
    `${code} rejected, then opens`,
    ...(isLook ? ['READ_FAILED rejected, then opens'] : []),
    // Files of the index that are of no use are removed, and others merged, beside the open.
    ...(cell.file === '.index' ? ['done, goes on'] : []),
  ]
}

const appending: Rule = cell =>
  isFull(cell) && cell.op !== 'datasync' ? ['DISK_FULL rejected, goes on'] : [`WRITER_FAILED unknown, ${FINISHED}`]

/** The file of the next chunk: a failure changes nothing. */
const making: Rule = cell => [isFull(cell) ? 'DISK_FULL rejected, goes on' : 'WRITER_FAILED rejected, goes on']

const rolling: Rule = cell => {
  const { op, file } = cell
  if (file === '.index') return ['done, goes on']
  if (op === 'syncDirectory') return [...making(cell), 'done, goes on']
  if (op === 'writeDurably') return appending(cell)
  // The same calls make the next chunk and complete this one.
  if (op === 'write') return isFull(cell) ? making(cell) : [...making(cell), `WRITER_FAILED rejected, ${FINISHED}`]
  if (op === 'datasync') return [...making(cell), `WRITER_FAILED rejected, ${FINISHED}`]
  if (op === 'truncate') return [`WRITER_FAILED rejected, ${FINISHED}`, ...(isFull(cell) ? ['DISK_FULL rejected, goes on'] : [])]
  return making(cell)
}

const proving: Rule = cell => (cell.file === 'flushed' || isFull(cell) ? ['done, goes on'] : [`done, ${FINISHED}`])

const scavenging: Rule = cell => {
  const code = failureOf(cell, 'READ_ONLY_STORE')
  if (cell.file === '.index') return ['done, goes on', ...(cell.op === 'read' ? ['READ_FAILED rejected, goes on'] : [])]
  if (cell.op === 'read') return ['READ_FAILED rejected, goes on']
  const completes = cell.op === 'write' || cell.op === 'datasync' || cell.op === 'truncate'
  return [
    ...making(cell),
    'done, goes on',
    `${code} rejected, goes on`,
    ...(completes ? [`${code} rejected, ${FINISHED}`, `WRITER_FAILED rejected, ${FINISHED}`] : []),
  ]
}

/** A directory that can't be written is another one's than the store's. */
const backingUp: Rule = cell => {
  const code = failureOf(cell, 'INVALID_ARGUMENT')
  return [`${code} rejected, goes on`, ...(cell.op === 'read' ? ['READ_FAILED rejected, goes on'] : [])]
}

/** A piece that can't be read is asked for once more, with its block; and index files are merged meanwhile, which may fail unheard. */
const reading: Rule = ({ op, file, times }) => {
  const isReadAgain = op === 'read' && file === '.chunk' && times === 'once'
  const isOfIndex = file === '.index' || op === 'syncDirectory'
  return ['READ_FAILED rejected, goes on', ...(isReadAgain || isOfIndex ? ['done, goes on'] : [])]
}

/** What was accepted has been told by then; a file that can't be closed is an error of the system, and nothing is lost by it. */
const closing: Rule = cell => ['done', ...(cell.op === 'close' ? [system(cell)] : [])]

const PHASES: Readonly<Record<string, Rule>> = {
  create: opening,
  open: opening,
  recover: opening,
  append: appending,
  'append, large': appending,
  'roll over': rolling,
  prove: proving,
  read: reading,
  close: closing,
  'close, many zeros': closing,
  scavenge: scavenging,
  'back up': backingUp,
}
