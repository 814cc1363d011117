import { createServer } from 'node:net'
import type { OpenSpec, Peer, Subject } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'
import { absentCommand, commandPath, ServerProcess } from './server-process.ts'

/** What of nats is used here: the package is not there when this is compiled. */
interface Connection {
  jetstreamManager(): Promise<{ streams: { add(options: object): Promise<unknown> } }>
  jetstream(): { publish(subject: string, data: Uint8Array): Promise<unknown> }
  close(): Promise<void>
}

interface Nats {
  connect(options: object): Promise<Connection>
}

/** One JetStream stream in files, a subject per stream. A read of one subject takes 80 ms, so it is only appended to here. */
class JetStream implements Subject {
  readonly #server: ServerProcess
  readonly #connection: Connection
  readonly #publish: (subject: string, data: Uint8Array) => Promise<unknown>
  #appends = 0

  private constructor(server: ServerProcess, connection: Connection) {
    this.#server = server
    this.#connection = connection
    const client = connection.jetstream()
    this.#publish = (subject, data) => client.publish(subject, data)
  }

  static async open({ directory }: OpenSpec): Promise<JetStream> {
    const { connect } = requirePeer('nats') as Nats
    const port = await freePort()
    const server = new ServerProcess(commandPath('nats-server')!, [
      '-js',
      '-sd',
      directory,
      '-a',
      '127.0.0.1',
      '-p',
      String(port),
    ])
    const connection = await server.ready(() => connect({ servers: `127.0.0.1:${port}` }))
    const manager = await connection.jetstreamManager()
    await manager.streams.add({ name: 'events', subjects: ['events.>'], storage: 'file' })
    return new JetStream(server, connection)
  }

  get serverPids(): readonly number[] {
    return [this.#server.pid]
  }

  append(stream: string, data: Uint8Array): Promise<unknown> {
    this.#appends++
    return this.#publish(`events.${stream}`, data)
  }

  appendBatch(): Promise<unknown> {
    return Promise.reject(new Error('there are no atomic batches'))
  }

  scan(): Promise<number> {
    return Promise.reject(new Error('not read here'))
  }

  readStream(): Promise<number> {
    return Promise.reject(new Error('not read here'))
  }

  counts() {
    return { appends: this.#appends, flushes: 0 }
  }

  async close(): Promise<void> {
    await this.#connection.close()
    await this.#server.stop('SIGTERM')
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

export const NATS: Peer = {
  name: 'nats',
  variants: [
    {
      name: 'nats',
      title: 'NATS JetStream (file storage, a subject per stream)',
      guarantee: 'NOT on disk: the server has written, not synced. Survives the death of the process, not that of the machine.',
      isDurable: false,
      workloads: ['W1', 'W2'],
      absent: () => absentCommand('nats-server', 'nats-server') ?? absentPackage('nats'),
      open: spec => JetStream.open(spec),
    },
  ],
}
