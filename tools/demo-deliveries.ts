import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { JsonValue, NewEvent } from 'tailrace'

/** What GitHub sends to a webhook: an example of each kind, as their users contributed them. */
interface Webhook {
  readonly name: string
  readonly examples: readonly Payload[]
}

interface Payload {
  readonly [key: string]: JsonValue | undefined
}

/** One event of the demo: what is appended, and where it has to be found afterwards. */
export interface Delivery {
  /** From 0, in the order of the appends. */
  readonly number: number
  readonly stream: string
  /** Its place in the stream. */
  readonly revision: number
  readonly event: NewEvent & { readonly id: string }
  /** Of its data as JSON, in bytes. */
  readonly size: number
}

export interface Deliveries {
  readonly all: readonly Delivery[]
  readonly byStream: ReadonlyMap<string, readonly Delivery[]>
  /** Different payloads; the rest repeats them. */
  readonly payloadCount: number
}

/** Takes GitHub's examples over and over until there are `count`. Every process that asks gets the same. */
export function makeDeliveries(count: number): Deliveries {
  const originals = loadWebhooks().flatMap(({ name, examples }) =>
    examples.map(payload => ({ name, payload, size: sizeOf(payload) })),
  )
  const all: Delivery[] = []
  const byStream = new Map<string, Delivery[]>()
  for (let number = 0; number < count; number++) {
    const { name, payload, size } = originals[number % originals.length]!
    const stream = streamOf(name, payload)
    const siblings = byStream.get(stream) ?? []
    if (siblings.length === 0) byStream.set(stream, siblings)
    const { action } = payload
    const type = typeof action === 'string' ? `${name}.${action}` : name
    // The id and the metadata tell the repetitions of a payload from each other.
    const metadata = { delivery: number, round: Math.floor(number / originals.length) }
    const delivery = {
      number,
      stream,
      revision: siblings.length,
      event: { type, data: payload, metadata, id: idOf(number) },
      size,
    }
    all.push(delivery)
    siblings.push(delivery)
  }
  return { all, byStream, payloadCount: Math.min(count, originals.length) }
}

function loadWebhooks(): readonly Webhook[] {
  // The package is one JSON file; `require` reads it without an import attribute.
  return createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly Webhook[]
}

/** `repository-octo-org/octo-repo`, or for what concerns no repository `team-octo-org`. */
function streamOf(name: string, payload: Payload): string {
  const repository = textAt(payload['repository'], 'full_name')
  if (repository !== null) return `repository-${repository}`
  return `${name}-${textAt(payload['organization'], 'login') ?? textAt(payload['sender'], 'login') ?? 'github'}`
}

function textAt(value: JsonValue | undefined, key: string): string | null {
  if (typeof value !== 'object' || value === null) return null
  const text = (value as Payload)[key]
  return typeof text === 'string' ? text : null
}

function sizeOf(payload: Payload): number {
  return Buffer.byteLength(JSON.stringify(payload))
}

/** What GitHub sends as X-GitHub-Delivery; here a UUID made of the number, so that another process makes the same. */
function idOf(number: number): string {
  const hash = createHash('sha256').update(`tailrace demo ${number}`).digest('hex')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-a${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}
