import { join } from 'node:path'
import { GroupedAppends } from '../support/grouped-appends.ts'
import { StreamHeads } from '../support/stream-heads.ts'
import type { OpenSpec, Peer, Subject, Take } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'

/** What of better-sqlite3 is used here: the package is not there when this is compiled. */
interface Statement {
  run(...values: readonly unknown[]): { readonly lastInsertRowid: number | bigint }
  get(...values: readonly unknown[]): unknown
  all(...values: readonly unknown[]): unknown[]
  iterate(...values: readonly unknown[]): Iterable<unknown>
  raw(): Statement
}

interface Database {
  pragma(text: string): unknown
  exec(sql: string): void
  prepare(sql: string): Statement
  transaction<Argument>(body: (argument: Argument) => void): (argument: Argument) => void
  close(): void
}

interface Row {
  readonly stream: string
  readonly data: readonly Uint8Array[]
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS by_stream ON events (stream, revision);
`

/** Rows that one statement brings of a scan: fewer calls into the library than one each, less memory than all. */
const SCAN_ROWS = 1024

class SqliteEvents implements Subject {
  readonly #database: Database
  readonly #heads: StreamHeads
  readonly #ids = new Map<string, number>()
  readonly #statements: Readonly<
    Record<'insert' | 'addStream' | 'findStream' | 'nextRevision' | 'read' | 'page' | 'names', Statement>
  >
  readonly #write: (rows: readonly Row[]) => void
  readonly #group: GroupedAppends<Row> | null
  #appends = 0

  constructor({ directory }: OpenSpec, isGrouped: boolean) {
    const Sqlite = requirePeer('better-sqlite3') as new (file: string) => Database
    const database = new Sqlite(join(directory, 'events.db'))
    database.pragma('journal_mode = WAL')
    // The library is compiled with NORMAL, with which a commit is not durable in WAL mode.
    database.pragma('synchronous = FULL')
    database.pragma(`mmap_size = ${2 ** 30}`)
    database.pragma('cache_size = -65536')
    database.exec(SCHEMA)
    this.#database = database
    this.#statements = {
      insert: database.prepare('INSERT INTO events (stream, revision, data) VALUES (?, ?, ?)'),
      addStream: database.prepare('INSERT INTO streams (name) VALUES (?)'),
      findStream: database.prepare('SELECT id FROM streams WHERE name = ?').raw(),
      nextRevision: database.prepare('SELECT coalesce(max(revision) + 1, 0) FROM events WHERE stream = ?').raw(),
      read: database.prepare('SELECT revision, data FROM events WHERE stream = ? ORDER BY revision').raw(),
      page: database
        .prepare('SELECT position, stream, revision, data FROM events WHERE position > ? ORDER BY position LIMIT ?')
        .raw(),
      names: database.prepare('SELECT id, name FROM streams').raw(),
    }
    this.#heads = new StreamHeads(stream => {
      const id = this.#idOf(stream)
      return id === undefined ? 0 : (this.#statements.nextRevision.get(id) as [number])[0]
    })
    this.#write = database.transaction((rows: readonly Row[]) => {
      for (const { stream, data } of rows) this.#insert(stream, data)
    })
    this.#group = isGrouped ? new GroupedAppends(rows => this.#write(rows)) : null
  }

  append(stream: string, data: Uint8Array): Promise<void> {
    return this.appendBatch(stream, [data])
  }

  appendBatch(stream: string, data: readonly Uint8Array[]): Promise<void> {
    if (this.#group !== null) return this.#group.add({ stream, data })
    this.#appends++
    this.#write([{ stream, data }])
    return Promise.resolve()
  }

  async scan(take: Take, limit: number): Promise<number> {
    const names = new Map(this.#statements.names.all() as [number, string][])
    let count = 0
    let last = 0
    while (count < limit) {
      const rows = this.#statements.page.all(last, Math.min(SCAN_ROWS, limit - count)) as [number, number, number, Uint8Array][]
      if (rows.length === 0) break
      for (const [, stream, revision, data] of rows) take(names.get(stream)!, revision, data)
      count += rows.length
      last = rows.at(-1)![0]
    }
    return count
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const rows = this.#statements.read.all(this.#idOf(stream)) as [number, Uint8Array][]
    for (const [revision, data] of rows) take(stream, revision, data)
    return rows.length
  }

  counts() {
    return this.#group?.counts() ?? { appends: this.#appends, flushes: this.#appends }
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #insert(stream: string, batch: readonly Uint8Array[]): void {
    let revision = this.#heads.take(stream, batch.length)
    const id = this.#idOf(stream) ?? this.#addStream(stream)
    for (const data of batch) this.#statements.insert.run(id, revision++, data)
  }

  #idOf(stream: string): number | undefined {
    const known = this.#ids.get(stream)
    if (known !== undefined) return known
    const found = this.#statements.findStream.get(stream) as [number] | undefined
    if (found !== undefined) this.#ids.set(stream, found[0])
    return found?.[0]
  }

  #addStream(stream: string): number {
    const id = Number(this.#statements.addStream.run(stream).lastInsertRowid)
    this.#ids.set(stream, id)
    return id
  }
}

const HOW = 'better-sqlite3, WAL, synchronous=FULL, mmap 1 GiB, cache 64 MiB'
const GUARANTEE = 'On disk: COMMIT has synced the WAL (fsync). The call blocks the event loop while it does.'

export const SQLITE: Peer = {
  name: 'sqlite',
  variants: [
    {
      name: 'sqlite',
      title: `SQLite (${HOW}, a transaction per append)`,
      guarantee: GUARANTEE,
      isDurable: true,
      workloads: ['W1', 'W2', 'W3'],
      absent: () => absentPackage('better-sqlite3'),
      open: async spec => new SqliteEvents(spec, false),
    },
    {
      name: 'sqlite-group',
      title: `SQLite (${HOW}, a transaction per turn of the event loop)`,
      guarantee: `${GUARANTEE} The promises of a group resolve after its COMMIT.`,
      isDurable: true,
      workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
      absent: () => absentPackage('better-sqlite3'),
      open: async spec => new SqliteEvents(spec, true),
    },
  ],
}
