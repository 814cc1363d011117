import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { GroupedAppends } from '../support/grouped-appends.ts'
import type { OpenSpec, Peer, Subject, Take } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'
import { absentCommand, commandPath, ServerProcess, unprivileged } from './server-process.ts'

/** What of pg is used here: the package is not there when this is compiled. */
interface Query {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
  readonly rowMode: 'array'
}

interface Pool {
  query(query: string | Query): Promise<{ readonly rows: unknown[][] }>
  end(): Promise<void>
  on(event: 'error', listener: () => void): void
}

interface Row {
  readonly stream: string
  readonly data: readonly Uint8Array[]
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS events (position bigserial PRIMARY KEY, stream text NOT NULL, revision int NOT NULL, data bytea NOT NULL,
  UNIQUE (stream, revision))`
const INSERT = 'INSERT INTO events (stream, revision, data) SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[])'
const READ = 'SELECT revision, data FROM events WHERE stream = $1 ORDER BY revision'
const NEXT = 'SELECT coalesce(max(revision) + 1, 0) FROM events WHERE stream = $1'
const PAGE = 'SELECT position, stream, revision, data FROM events WHERE position > $1 ORDER BY position LIMIT $2'
const PAGE_ROWS = 10_000
/** Reads go side by side; appends are grouped, one group at a time. */
const CONNECTIONS = 16

class PostgresEvents implements Subject {
  readonly #server: ServerProcess
  readonly #pool: Pool
  readonly #next = new Map<string, number>()
  readonly #group: GroupedAppends<Row>

  private constructor(server: ServerProcess, pool: Pool) {
    this.#server = server
    this.#pool = pool
    this.#group = new GroupedAppends(rows => this.#write(rows))
  }

  static async open({ directory }: OpenSpec): Promise<PostgresEvents> {
    const { Pool } = requirePeer('pg') as { Pool: new (options: object) => Pool }
    const data = join(directory, 'data')
    mkdirSync(data, { recursive: true })
    const owner = unprivileged('postgres', directory)
    if (!existsSync(join(data, 'PG_VERSION'))) {
      unprivileged('postgres', data)
      execFileSync(commandPath('initdb')!, ['-D', data, '-U', 'bench', '--auth', 'trust', '-E', 'UTF8'], {
        ...owner,
        stdio: 'ignore',
      })
    }
    const settings = ['listen_addresses=', `unix_socket_directories=${directory}`, 'shared_buffers=512MB', 'max_wal_size=4GB']
    const server = new ServerProcess(
      commandPath('postgres')!,
      ['-D', data, ...settings.flatMap(setting => ['-c', setting])],
      owner,
    )
    const pool = new Pool({ host: directory, user: 'bench', database: 'postgres', max: CONNECTIONS })
    pool.on('error', () => {})
    await server.ready(() => pool.query(SCHEMA))
    return new PostgresEvents(server, pool)
  }

  get serverPids(): readonly number[] {
    return [this.#server.pid]
  }

  append(stream: string, data: Uint8Array): Promise<void> {
    return this.#group.add({ stream, data: [data] })
  }

  appendBatch(stream: string, data: readonly Uint8Array[]): Promise<void> {
    return this.#group.add({ stream, data })
  }

  async scan(take: Take, limit: number): Promise<number> {
    let count = 0
    let last = '0'
    while (count < limit) {
      const rows = (await this.#query('page', PAGE, [last, Math.min(PAGE_ROWS, limit - count)])) as [
        string,
        string,
        number,
        Buffer,
      ][]
      if (rows.length === 0) break
      for (const [, stream, revision, data] of rows) take(stream, revision, data)
      count += rows.length
      last = rows.at(-1)![0]
    }
    return count
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const rows = (await this.#query('read', READ, [stream])) as [number, Buffer][]
    for (const [revision, data] of rows) take(stream, revision, data)
    return rows.length
  }

  counts() {
    return this.#group.counts()
  }

  async close(): Promise<void> {
    await this.#pool.end()
    await this.#server.stop('SIGINT')
  }

  async #write(rows: readonly Row[]): Promise<void> {
    const streams: string[] = []
    const revisions: number[] = []
    const payloads: Uint8Array[] = []
    for (const { stream, data } of rows) {
      const first = this.#next.get(stream) ?? ((await this.#query('next', NEXT, [stream])) as [number][])[0]![0]
      this.#next.set(stream, first + data.length)
      data.forEach((payload, index) => {
        streams.push(stream)
        revisions.push(first + index)
        payloads.push(payload)
      })
    }
    await this.#query('insert', INSERT, [streams, revisions, payloads])
  }

  async #query(name: string, text: string, values: readonly unknown[]): Promise<unknown[][]> {
    return (await this.#pool.query({ name, text, values, rowMode: 'array' })).rows
  }
}

export const POSTGRES: Peer = {
  name: 'postgres',
  variants: [
    {
      name: 'postgres-group',
      title: 'PostgreSQL (a UNIX socket, an INSERT … unnest per turn of the event loop)',
      guarantee:
        'On disk: synchronous_commit is on, so the WAL of the transaction is synced. The promises of a group resolve after its INSERT.',
      isDurable: true,
      workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
      absent: () => absentCommand('postgres', 'postgresql') ?? absentPackage('pg'),
      open: spec => PostgresEvents.open(spec),
    },
  ],
}
