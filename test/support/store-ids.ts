import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Random } from './random.ts'

const { randomBytes } = crypto

/** Store ids come from the system's randomness, which would make each run another one: from now on they come from the seed. */
export function seedStoreIds(seed: string): void {
  const random = new Random(`${seed}/store`)
  crypto.randomBytes = ((size: number) => Buffer.from(random.bytes(size))) as typeof randomBytes
  syncBuiltinESMExports()
}
