/** Files that are worked on at the same time, each of them open. */
const GROUP_COUNT = 64

/**
 * Does the work on all items, a group at a time, so that only so many files are open. All of a group come to their end, also when one
 * fails: a file must not be closed while another call works on it.
 * @param between awaited behind each group.
 */
export async function inGroups<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  between?: () => Promise<void>,
): Promise<void> {
  for (let first = 0; first < items.length; first += GROUP_COUNT) {
    const results = await Promise.allSettled(items.slice(first, first + GROUP_COUNT).map(work))
    for (const result of results) if (result.status === 'rejected') throw result.reason
    await between?.()
  }
}
