/** One replacement; `find` must be there exactly once. */
export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** Checks that a mutant is shown to, one by one or all of them. */
export type Probe = (typeof PROBES)[number]

/** Those that take long, first. */
export const PROBES = ['scenes', 'crashes', 'calls', 'faults', 'bytes', 'promises'] as const

/** A durability bug as someone could write it. */
export interface Mutant {
  readonly name: string
  readonly edits: readonly Edit[]
  /** Who is known to find it, for a quick run. */
  readonly foundBy: Probe
}

const one = (name: string, foundBy: Probe, file: string, find: string, replace: string): Mutant => ({
  name,
  foundBy,
  edits: [{ file: `src/${file}`, find, replace }],
})

export const MUTANTS: readonly Mutant[] = [
  one(
    'ack before the sync',
    'promises',
    'writer/storage-writer.ts',
    "const isSync = this.#durability === 'fsync' ||",
    'const isSync =',
  ),
  one(
    'a large group is not synced',
    'promises',
    'log/chunk-log.ts',
    '      await this.#datasync()\n    }\n    this.stamp.proven = target',
    '    }\n    this.stamp.proven = target',
  ),
  one(
    'a large group is synced before it is written',
    'promises',
    'log/chunk-log.ts',
    '      await this.#writeTo(target)\n      // One sync',
    '      void this.#writeTo(target)\n      // One sync',
  ),
  one(
    'the footer is not synced',
    'crashes',
    'log/chunk-log.ts',
    '    await this.#datasync()\n    this.#active.complete(footer)',
    '    this.#active.complete(footer)',
  ),
  one(
    'the directory is not synced behind a new chunk',
    'crashes',
    'log/chunk-file.ts',
    '      await disk.rename(temporaryPath, path)\n      await disk.syncDirectory(directory)',
    '      await disk.rename(temporaryPath, path)',
  ),
  one(
    'a new chunk is renamed before it is synced',
    'crashes',
    'log/chunk-file.ts',
    '      await file.datasync()\n      mayHaveName = true\n',
    '      mayHaveName = true\n',
  ),
  one(
    'a rewritten chunk is renamed before it is synced',
    'crashes',
    'log/chunk-replacement.ts',
    '    await this.#file.datasync()\n    const { disk, directory, chunks }',
    '    const { disk, directory, chunks }',
  ),
  one(
    'the old chunk is removed before the new one has its name',
    'crashes',
    'log/chunk-replacement.ts',
    '    await disk.rename(this.#temporaryPath, path)',
    '    await disk.remove(path)\n    await disk.rename(this.#temporaryPath, path)',
  ),
  one(
    'the checksum of a record is always right',
    'bytes',
    'format/checksum.ts',
    '  if (end - start >= NATIVE_FROM_SIZE) return',
    '  if (end >= start) return 7\n  if (end - start >= NATIVE_FROM_SIZE) return',
  ),
  {
    name: 'the checksum covers the payload alone',
    foundBy: 'bytes',
    edits: [
      {
        file: 'src/format/log-record.ts',
        find: 'checksumRange(window, offset + OFFSET_POSITION, offset + size, seed)',
        replace: 'checksumRange(window, offset + RECORD_HEAD_SIZE, offset + size, seed)',
      },
      {
        file: 'src/format/record-encoding.ts',
        find: 'checksumRange(window, offset + OFFSET_POSITION, end, stamp.seed)',
        replace: 'checksumRange(window, offset + 24, end, stamp.seed)',
      },
    ],
  },
  one(
    'a record may stand anywhere',
    'bytes',
    'format/log-record.ts',
    "  if (readU64(window.view, offset + OFFSET_POSITION) !== position) return 'wrong position'\n",
    '',
  ),
  one(
    'a record may be of another store',
    'bytes',
    'format/log-record.ts',
    '  return checksumBytes(storeId) | 0',
    '  return storeId.length',
  ),
  one(
    'the size of a record is believed before it is compared with what is there',
    'bytes',
    'format/log-record.ts',
    "  if (size > limit - offset) return 'cut off'\n",
    '',
  ),
  one(
    'the fields of a record are believed',
    'bytes',
    'format/log-record.ts',
    'return size >= PREPARE_OVERHEAD && dataOffsetOf(view, offset) <= offset + size - 4 ? size',
    'return size >= 0 ? size',
  ),
  one(
    'blocks of a completed chunk are not verified',
    'bytes',
    'log/chunk-bytes.ts',
    '    if (checksumBytes(block) === blockChecksums[(offset + at) / BLOCK_SIZE]) continue',
    '    if (checksumBytes(block) === blockChecksums[(offset + at) / BLOCK_SIZE] || at >= 0) continue',
  ),
  one(
    'pages of an index file are not verified',
    'bytes',
    'format/index-pages.ts',
    '  return page.view.getUint32(INDEX_PAGE_PAYLOAD, true) === pageChecksum(page.bytes, pageNumber, seed)',
    '  return pageChecksum(page.bytes, pageNumber, seed) >= 0',
  ),
  one(
    'damage that is met by a read is the end of the log',
    'bytes',
    'log/log-reader.ts',
    '        else throw this.#corrupt(chunk, position, result)\n      }\n      if (offsets.length > 0) return { window, offsets, next: LogPosition.plus(start, at - offset) }\n    }\n  }\n\n  /** Reads whole records that end',
    '        else return null\n      }\n      if (offsets.length > 0) return { window, offsets, next: LogPosition.plus(start, at - offset) }\n    }\n  }\n\n  /** Reads whole records that end',
  ),
  one(
    'what is damaged below the proven end is cut off',
    'bytes',
    'log/find-log.ts',
    '  if (proven > appends.end) {',
    '  if (proven > appends.end + 1e15) {',
  ),
  one(
    'a hint that is ahead of the log is passed over',
    'bytes',
    'log/find-log.ts',
    '  if (proven > appends.end) {',
    '  if (Math.max(appends.proven, behind.proven) > appends.end) {',
  ),
  one(
    'the hint says where the log ends',
    'crashes',
    'log/find-log.ts',
    '  const { end, endsWithProof, eventCount } = appends\n',
    '  const { endsWithProof, eventCount } = appends\n  const end = hinted > active.firstRecord ? hinted : appends.end\n',
  ),
  one(
    'part of an append counts after a crash',
    'crashes',
    'log/append-tracker.ts',
    '        if (flagsOf(view, offset) & PrepareFlag.committed) this.#whole(end, false)',
    '        this.#whole(end, false)',
  ),
  one(
    'the torn tail stays where it is',
    'promises',
    'log/recovery.ts',
    '  if (active.offsetOf(found.end) < active.filledSize && !isSound) await active.cut(found.end)\n',
    '',
  ),
  one(
    'what a failed sync left in doubt is not written again',
    'scenes',
    'log/recovery.ts',
    '  if (found.proven < found.end) await rewrite(active, found.proven, found.end)\n',
    '',
  ),
  one(
    'what recovery wrote is not synced',
    'scenes',
    'log/recovery.ts',
    '    await active.file.datasync()\n    end =',
    '    end =',
  ),
  one(
    'a footer that nobody proved is not written again',
    'scenes',
    'log/recovery.ts',
    '  if (completed !== undefined && !completed.isCompact && found.hinted <= completed.end) await rewriteFooter(completed)\n',
    '',
  ),
  one(
    'a failed durable write is tried again',
    'promises',
    'log/chunk-log.ts',
    '        if (durably) await this.#active.writeDurably(bytes, this.#written)',
    '        if (durably) await this.#active.writeDurably(bytes, this.#written).catch(() => this.#active.writeDurably(bytes, this.#written))',
  ),
  one(
    'a failed sync is tried again',
    'faults',
    'log/chunk-log.ts',
    '      await this.#active.file.datasync()\n    } catch',
    '      await this.#active.file.datasync().catch(() => this.#active.file.datasync())\n    } catch',
  ),
  one(
    'a full disk in a sync is taken for a full disk in a write',
    'faults',
    'log/chunk-log.ts',
    '    } catch (error) {\n      this.#doubt = error\n      throw error\n    } finally {\n      this.#isSyncing = false',
    '    } catch (error) {\n      if (!isDiskFull(error)) this.#doubt = error\n      throw error\n    } finally {\n      this.#isSyncing = false',
  ),
  one(
    'what was rejected is not cut off',
    'scenes',
    'log/chunk-log.ts',
    '    await this.#active.cut(position).catch(error => {\n      this.#doubt = error\n      throw error\n    })\n',
    '',
  ),
  one(
    'a record proves itself',
    'promises',
    'format/record-encoding.ts',
    'Math.min(position - stamp.proven, PROVES_NOTHING)',
    'Math.min(position - stamp.proven, 0)',
  ),
  one(
    'the hint is written ahead of the sync',
    'promises',
    'log/chunk-log.ts',
    '    this.#hint.advance(this.proven)\n',
    '    this.#hint.advance(LogPosition.plus(this.#end, 64))\n',
  ),
  one(
    'what is written counts as flushed',
    'promises',
    'writer/storage-writer.ts',
    '    if (end > this.flushed.position) this.flushed.advance(end)',
    '    if (this.#log.end > this.flushed.position) this.flushed.advance(this.#log.end)',
  ),
  one(
    'the chaser starts at the beginning, whatever the index knows',
    'crashes',
    'store/open-for-writing.ts',
    'const published = new Checkpoint(files.end)',
    'const published = new Checkpoint(LogPosition.start)',
  ),
  one(
    'missing index files are not made again',
    'crashes',
    'store/index-files.ts',
    '  if (missing === 0) return\n',
    '  if (missing >= 0) return\n',
  ),
  one(
    'an index file knows more than was flushed',
    'crashes',
    'store/open-for-writing.ts',
    "      if (writer.failure === undefined) await files.add(index.active, log.end, 'partial').catch(() => {})",
    "      await files.add(index.active, LogPosition.plus(log.end, 64), 'partial').catch(() => {})",
  ),
  {
    name: 'a chunk with a temporary name counts',
    foundBy: 'crashes',
    edits: [
      {
        file: 'src/log/chunk-file-names.ts',
        find: '  if (!name.endsWith(CHUNK_SUFFIX)) return null\n  const number = Number(name.slice(0, -CHUNK_SUFFIX.length))',
        replace: '  if (!name.includes(CHUNK_SUFFIX)) return null\n  const number = Number.parseInt(name, 10)',
      },
      {
        file: 'src/log/chunk-file-names.ts',
        find: 'ChunkNumber.is(number) && chunkFileName(number) === name ?',
        replace: 'ChunkNumber.is(number) ?',
      },
    ],
  },
  one(
    'a short write is taken for a whole one',
    'calls',
    'disk/node-calls.ts',
    '        if (progress.written === bytes.length) return resolve()',
    '        return resolve()',
  ),
  one(
    'a write that takes nothing is tried for ever',
    'calls',
    'disk/node-calls.ts',
    "        if (count === 0 && empty) return reject(Object.assign(new Error('EIO: the disk takes no bytes, write'), { code: 'EIO' }))\n",
    '',
  ),
  one(
    'a short read is taken for the end of the file',
    'calls',
    'disk/node-calls.ts',
    '    if (count === 0) break\n    filled += count',
    '    filled += count\n    break',
  ),
  one(
    'the lock file is removed when the store is closed',
    'calls',
    'disk/node-disk.ts',
    '    return { release: () => call(done => fs.close(descriptor, done)) }',
    '    return { release: () => call(done => fs.unlink(path, () => fs.close(descriptor, done))) }',
  ),
  one(
    'the lock is taken when the files have been read',
    'promises',
    'store/open-for-writing.ts',
    '    lock = await lockDirectory(disk, directory)\n    return await wire(disk, directory, options, lock, startedMs, opened)',
    '    await disk.makeDirectory(directory)\n    const rooms = await wire(disk, directory, options, { release: async () => lock?.release() }, startedMs, opened)\n    lock = await lockDirectory(disk, directory)\n    return rooms',
  ),
  one(
    'ids are forgotten at a restart',
    'promises',
    'streams/active-index.ts',
    '    if (flagsOf(view, offset) & PrepareFlag.suppliedId) this.addId(bytes, suppliedIdOffsetOf(offset), slot, revision, position)\n',
    '',
  ),
  one(
    'a revision is worked out before the append in front has got its own',
    'promises',
    'streams/append-rules.ts',
    '    head.revision = Revision.plus(append.firstRevision, eventCount - 1)\n',
    '    setImmediate(() => {\n      head.revision = Revision.plus(append.firstRevision, eventCount - 1)\n    })\n',
  ),
  one(
    'an abort is always told as a rejection',
    'promises',
    'store/admission.ts',
    "settledByAbort(signal.reason, append.isTaken ? 'unknown' : 'rejected')",
    "settledByAbort(signal.reason, 'rejected')",
  ),
  one(
    'a slab is used again before it was written',
    'crashes',
    'log/recent-bytes.ts',
    '(this.#free.pop() ?? ByteWindow.allocate(SLAB_SIZE))',
    '(this.#slabs.at(-1)?.window ?? ByteWindow.allocate(SLAB_SIZE))',
  ),
  one(
    'what was scavenged is read from memory',
    'crashes',
    'log/chunk-log.ts',
    '    this.chunks.whenReplaced(chunk => this.recent.forgetBelow(chunk.end))\n',
    '',
  ),
  one(
    'events have the time of the wall clock',
    'promises',
    'writer/storage-writer.ts',
    'if (nowMs > this.#lastCreatedMs && nowMs <= MAX_CREATED_MS) this.#lastCreatedMs = nowMs',
    'this.#lastCreatedMs = nowMs',
  ),
  one(
    'what is pending is bounded in number only',
    'promises',
    'store/admission.ts',
    '    if (this.#pending.count + this.#waiting.count > 0 && bytes + size > this.#bounds.maxPendingBytes) this.#refuse()\n',
    '    void bytes\n',
  ),
  one(
    'a backup is told before its name is durable',
    'crashes',
    'log/backup.ts',
    'joinPath(this.#target, firstName))\n    await this.#disk.syncDirectory(this.#target)',
    'joinPath(this.#target, firstName))',
  ),
]
