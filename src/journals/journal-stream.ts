import type { Disk } from '../disk/disk.ts'
import { hasHashedName, nameFileOf } from './journal-batch.ts'
import { JournalLines } from './journal-lines.ts'
import { decodeName, JOURNAL_SUFFIX, journalNameOf } from './journal-names.ts'

/** Longer than the encoding of any stream's name. */
const MAX_NAME_FILE_SIZE = 4096

/** The stream whose journal a file is, or null when it can't be that of any. */
export async function streamOfFile(disk: Disk, directory: string, fileName: string): Promise<string | null> {
  const name = fileName.slice(0, -JOURNAL_SUFFIX.length)
  const encoded = hasHashedName(fileName) ? await readName(disk, directory, nameFileOf(fileName)) : name
  const stream = decodeName(encoded)
  return stream !== null && journalNameOf(stream) === name ? stream : null
}

async function readName(disk: Disk, directory: string, nameFile: string): Promise<string> {
  const lines = await JournalLines.open(disk, directory, nameFile)
  try {
    return (await lines.bytesAt(0, MAX_NAME_FILE_SIZE)).toString('utf8').replace(/\n$/, '')
  } finally {
    await lines.close()
  }
}
