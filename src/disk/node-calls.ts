import fs from 'node:fs'

const { O_NOFOLLOW } = fs.constants
const FILE_MODE = 0o600

type Done = (error: NodeJS.ErrnoException | null) => void

/** A call of the system that answers with nothing, as a promise. */
export function call(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/** @param flags of which O_NOFOLLOW is always one. @returns the descriptor */
export function open(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags | O_NOFOLLOW, FILE_MODE, (error, descriptor) => {
      if (error) reject(error)
      else resolve(descriptor)
    })
  })
}
