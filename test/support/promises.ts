import { settle } from './manual-clock.ts'

export type PromiseState = 'pending' | 'resolved' | 'rejected'

/** What has become of a promise when everything that needs no timer and no held call has run. */
export async function stateOf(promise: Promise<unknown>): Promise<PromiseState> {
  let state: PromiseState = 'pending'
  promise.then(
    () => {
      state = 'resolved'
    },
    () => {
      state = 'rejected'
    },
  )
  await settle()
  return state
}

/** What a promise rejects with. */
export async function rejectionOf<E = unknown>(promise: Promise<unknown>): Promise<E> {
  try {
    await promise
  } catch (error) {
    return error as E
  }
  throw new Error('it was expected to fail, and did not')
}
