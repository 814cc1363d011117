/** Closes everything, also when something can't be closed. @throws the first error, once all is done. */
export async function closeAll(closables: readonly { close(): Promise<void> | null }[]): Promise<void> {
  const results = await Promise.allSettled(closables.map(closable => closable.close()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
