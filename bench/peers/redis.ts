import { join } from 'node:path'
import type { OpenSpec, Peer, Subject, Take } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'
import { absentCommand, commandPath, ServerProcess } from './server-process.ts'

/** What of ioredis is used here: the package is not there when this is compiled. */
interface Redis {
  connect(): Promise<void>
  ping(): Promise<unknown>
  disconnect(): void
  xadd(key: string, ...rest: readonly (string | Uint8Array)[]): Promise<unknown>
  xrangeBuffer(key: string, from: string, to: string): Promise<[Buffer, [Buffer, Buffer]][]>
  keys(pattern: string): Promise<string[]>
  multi(): { xadd(key: string, ...rest: readonly (string | Uint8Array)[]): void; exec(): Promise<unknown> }
  on(event: 'error', listener: () => void): void
}

const SOCKET = 'redis.sock'

/** The client writes other arrays of bytes as text. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A redis stream per stream; commands go out without waiting for replies. There is no order across streams. */
class RedisStreams implements Subject {
  readonly #server: ServerProcess
  readonly #redis: Redis
  #appends = 0

  private constructor(server: ServerProcess, redis: Redis) {
    this.#server = server
    this.#redis = redis
  }

  static async open({ directory }: OpenSpec): Promise<RedisStreams> {
    const server = new ServerProcess(commandPath('redis-server')!, [
      // It goes into its directory before it makes its socket; a whole path may be longer than a socket's may be.
      ...['--port', '0', '--dir', directory, '--unixsocket', SOCKET],
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
    ])
    const redis = await server.ready(async () => {
      const Client = requirePeer('ioredis') as { Redis: new (options: object) => Redis }
      const client = new Client.Redis({ path: join(directory, SOCKET), lazyConnect: true, retryStrategy: null })
      client.on('error', () => {})
      await client.connect()
      await client.ping()
      return client
    })
    return new RedisStreams(server, redis)
  }

  get serverPids(): readonly number[] {
    return [this.#server.pid]
  }

  append(stream: string, data: Uint8Array): Promise<unknown> {
    this.#appends++
    return this.#redis.xadd(stream, '*', 'd', asBuffer(data))
  }

  appendBatch(stream: string, batch: readonly Uint8Array[]): Promise<unknown> {
    this.#appends++
    const transaction = this.#redis.multi()
    for (const data of batch) transaction.xadd(stream, '*', 'd', asBuffer(data))
    return transaction.exec()
  }

  async scan(take: Take, limit: number): Promise<number> {
    let count = 0
    for (const stream of await this.#redis.keys('*')) {
      count += await this.readStream(stream, take)
      if (count >= limit) break
    }
    return count
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const entries = await this.#redis.xrangeBuffer(stream, '-', '+')
    entries.forEach(([, [, data]], revision) => {
      take(stream, revision, data)
    })
    return entries.length
  }

  counts() {
    return { appends: this.#appends, flushes: 0 }
  }

  async close(): Promise<void> {
    this.#redis.disconnect()
    await this.#server.stop('SIGTERM')
  }
}

export const REDIS: Peer = {
  name: 'redis',
  variants: [
    {
      name: 'redis',
      title: 'Redis streams (appendonly, appendfsync always, a UNIX socket, ioredis without waiting for replies)',
      guarantee: 'On disk: the server syncs the append-only file before it sends the replies of a turn. No order across streams.',
      isDurable: true,
      workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
      absent: () => absentCommand('redis-server', 'redis-server') ?? absentPackage('ioredis'),
      open: spec => RedisStreams.open(spec),
    },
  ],
}
