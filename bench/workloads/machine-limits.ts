import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Figures } from '../support/figures.ts'
import { LatencyRecorder } from '../support/histogram.ts'

/** What this machine can do at all, measured with as little between it and the figure as there can be. */
export interface MachineLimitsSpec {
  readonly directory: string
  /** For each of the measurements that have no end of their own. */
  readonly seconds: number
  /** Of the file that is written and read in one go. */
  readonly fileBytes: number
}

const RECORD_BYTES = 300
const PREFILLED_BYTES = 4 * 1024 * 1024
const PIECE = 1024 * 1024
const PROMISES_AT_ONCE = 4096
const MIB = 2 ** 20

export async function measureMachineLimits({ directory, seconds, fileBytes }: MachineLimitsSpec): Promise<Figures> {
  const growing = syncLatency(join(directory, 'growing'), seconds, 0)
  const prefilled = syncLatency(join(directory, 'prefilled'), seconds, PREFILLED_BYTES)
  const file = join(directory, 'sequential')
  return {
    growingSyncP50Us: growing.p50Us,
    growingSyncP99Us: growing.p99Us,
    prefilledSyncP50Us: prefilled.p50Us,
    prefilledSyncP99Us: prefilled.p99Us,
    writeMibPerSecond: writeBandwidth(file, fileBytes),
    readMibPerSecond: readBandwidth(file, seconds, () => {}),
    checkedReadMibPerSecond: readBandwidth(file, seconds, piece => crc32(piece)),
    promisesPerSecond: await promiseRate(seconds),
  }
}

/** A small write and its sync, one after the other, with calls that block. */
function syncLatency(file: string, seconds: number, prefilledBytes: number) {
  const fd = openSync(file, 'w')
  const latencies = new LatencyRecorder()
  const record = new Uint8Array(RECORD_BYTES).fill(1)
  writeSync(fd, new Uint8Array(prefilledBytes), 0, prefilledBytes, 0)
  fdatasyncSync(fd)
  let offset = 0
  const end = performance.now() + seconds * 1000
  for (let started = performance.now(); started < end; ) {
    if (prefilledBytes > 0 && offset + RECORD_BYTES > prefilledBytes) offset = 0
    writeSync(fd, record, 0, RECORD_BYTES, offset)
    fdatasyncSync(fd)
    offset += RECORD_BYTES
    const ended = performance.now()
    latencies.record(ended - started)
    started = ended
  }
  closeSync(fd)
  return latencies.summary()
}

/** New blocks in pieces of 1 MiB, one sync at the end. */
function writeBandwidth(file: string, fileBytes: number): number {
  const fd = openSync(file, 'w')
  const piece = new Uint8Array(PIECE).fill(1)
  const startedAt = performance.now()
  for (let written = 0; written < fileBytes; written += PIECE) writeSync(fd, piece)
  fdatasyncSync(fd)
  const elapsed = (performance.now() - startedAt) / 1000
  closeSync(fd)
  return fileBytes / MIB / elapsed
}

/** The file is in the page cache: it was just written. */
function readBandwidth(file: string, seconds: number, use: (piece: Uint8Array) => void): number {
  const fd = openSync(file, 'r')
  const piece = Buffer.allocUnsafe(PIECE)
  const startedAt = performance.now()
  let bytes = 0
  let offset = 0
  while (performance.now() - startedAt < seconds * 1000) {
    const read = readSync(fd, piece, 0, PIECE, offset)
    offset = read < PIECE ? 0 : offset + read
    use(piece.subarray(0, read))
    bytes += read
  }
  const elapsed = (performance.now() - startedAt) / 1000
  closeSync(fd)
  return bytes / MIB / elapsed
}

/** Promises that are made, resolved and awaited, as many at once as W2 has in flight. */
async function promiseRate(seconds: number): Promise<number> {
  const startedAt = performance.now()
  let count = 0
  while (performance.now() - startedAt < seconds * 1000) {
    const resolvers: (() => void)[] = []
    const all = Promise.all(Array.from({ length: PROMISES_AT_ONCE }, () => new Promise<void>(resolve => resolvers.push(resolve))))
    for (const resolve of resolvers) resolve()
    await all
    count += PROMISES_AT_ONCE
  }
  return count / ((performance.now() - startedAt) / 1000)
}
