import { describe, expect, test } from 'vitest'
import { StoreClosedError } from '../../src/core/errors.ts'
import { type Attempt, systemFailure } from '../../src/core/system-failure.ts'

const refusal = (code: string) => Object.assign(new Error(`${code}: the system refuses`), { code })

describe('what an error of the system means', () => {
  test.each<[string, Attempt, string]>([
    ['ENOSPC', 'opened', 'DISK_FULL'],
    ['EDQUOT', 'scavenged', 'DISK_FULL'],
    ['EFBIG', 'copied to', 'DISK_FULL'],
    ['EROFS', 'opened', 'READ_ONLY_STORE'],
    ['EACCES', 'read', 'READ_FAILED'],
    ['EPERM', 'scavenged', 'READ_ONLY_STORE'],
    ['EACCES', 'copied to', 'INVALID_ARGUMENT'],
    ['EROFS', 'written to', 'INVALID_ARGUMENT'],
    ['EIO', 'scavenged', 'READ_FAILED'],
    ['EMFILE', 'copied to', 'READ_FAILED'],
    ['ENOTDIR', 'opened', 'INVALID_ARGUMENT'],
    ['ENOENT', 'opened', 'INVALID_ARGUMENT'],
    ['ENAMETOOLONG', 'read', 'INVALID_ARGUMENT'],
    ['ELOOP', 'written to', 'INVALID_ARGUMENT'],
    ['EISDIR', 'opened', 'INVALID_ARGUMENT'],
    ['ESPIPE', 'read', 'INVALID_ARGUMENT'],
  ])('%s, where a directory is to be %s, is %s; it names the directory and has its cause', (code, attempt, expected) => {
    const cause = refusal(code)
    expect(systemFailure(cause, '/the/place', attempt)).toMatchObject({
      code: expected,
      message: expect.stringMatching(/^(the disk is full, )?\/the\/place cannot be .*: the system refuses/),
      cause,
    })
  })

  test('errors of the engine, and those that come from elsewhere, are what they are', () => {
    for (const error of [new StoreClosedError(), refusal('ERR_ASSERTION'), new TypeError('x'), 'thrown', undefined]) {
      expect(systemFailure(error, '/the/place', 'opened')).toBe(error)
    }
  })
})
