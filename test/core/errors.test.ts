import { constants } from 'node:os'
import { describe, expect, test } from 'vitest'
import * as errors from '../../src/core/errors.ts'
import {
  ConditionFailedError,
  CorruptLogError,
  DamagedJournalError,
  DiskFullError,
  InvalidArgumentError,
  isDiskFull,
  JournalsLockedError,
  LockUnavailableError,
  QueueFullError,
  ReadFailedError,
  ReadOnlyStoreError,
  RecordTooLargeError,
  StoreClosedError,
  StoreLockedError,
  StreamDeletedError,
  StreamNotFoundError,
  systemErrorCode,
  TailraceError,
  TransactionClosedError,
  UnsupportedFormatError,
  WriterFailedError,
  WrongExpectedRevisionError,
  withoutStack,
} from '../../src/core/errors.ts'
import { systemError } from '../../src/disk/memory-disk.ts'

const cause = systemError('EIO', 'fdatasync', 'log')

const ALL: TailraceError[] = [
  new ConditionFailedError([], false),
  new CorruptLogError('000000.chunk', 128, 'zeros'),
  new DamagedJournalError('a.log', 'too short'),
  new DiskFullError('full', cause),
  new InvalidArgumentError('no'),
  new JournalsLockedError('/journals', 42),
  new LockUnavailableError('no'),
  new QueueFullError('full'),
  new ReadFailedError('no', cause),
  new ReadOnlyStoreError('no'),
  new RecordTooLargeError('no'),
  new StoreClosedError(),
  new StoreLockedError('/data', 42),
  new StreamDeletedError('order-42'),
  new StreamNotFoundError('order-42'),
  new TransactionClosedError('expired'),
  new UnsupportedFormatError('no'),
  new WriterFailedError('no', { outcome: 'unknown', cause }),
  new WrongExpectedRevisionError('order-42', 1, 2),
]

describe.each(ALL.map(error => [error.name, error] as const))('%s', (name, error) => {
  test('has its name in capitals as its code', () => {
    expect(error.code).toBe(
      name
        .replace(/Error$/, '')
        .replace(/(?<=[a-z])(?=[A-Z])/g, '_')
        .toUpperCase(),
    )
  })

  test('is an Error and a TailraceError, with a message, an outcome and a word on retrying', () => {
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(TailraceError)
    expect(error.message).not.toBe('')
    expect(['rejected', 'unknown']).toContain(error.outcome)
    expect(typeof error.retryable).toBe('boolean')
    expect(String(error)).toBe(`${name}: ${error.message}`)
  })
})

test('every error class of the engine is in this list', () => {
  const classes = Object.values(errors).filter(value => typeof value === 'function' && value.prototype instanceof TailraceError)
  expect(classes.map(made => made.name).sort()).toEqual(ALL.map(error => error.name).sort())
})

test('only a failed writer leaves an outcome open, and only when it says so', () => {
  const open = ALL.filter(error => error.outcome === 'unknown')
  expect(open.map(error => error.name)).toEqual(['WriterFailedError'])
  expect(new WriterFailedError('no').outcome).toBe('rejected')
})

test('errors of the moment can be retried, errors of the call cannot', () => {
  const retryable = ALL.filter(error => error.retryable).map(error => error.name)
  expect(retryable).toEqual(['DiskFullError', 'JournalsLockedError', 'QueueFullError', 'ReadFailedError', 'StoreLockedError'])
})

describe('what an error carries', () => {
  test('a wrong expected revision: the stream, what was expected, what is', () => {
    const error = new WrongExpectedRevisionError('order-42', 'no_stream', 7)
    expect(error).toMatchObject({ stream: 'order-42', expected: 'no_stream', actual: 7 })
    expect(error.message).toBe("stream 'order-42' is at revision 7, expected no_stream")
    expect(new WrongExpectedRevisionError('order-42', 3, null).message).toContain('no event')
  })

  test('a wrong expected revision that is none: that the stream has ids of the append', () => {
    const error = new WrongExpectedRevisionError('order-42', 'any', 7, true)
    expect(error).toMatchObject({ code: 'WRONG_EXPECTED_REVISION', stream: 'order-42', expected: 'any', actual: 7 })
    expect(error.message).toContain("stream 'order-42' has ids of this append already")
  })

  test('a condition that failed: how many events stand against it', () => {
    const messageOf = (count: number, more = false) => new ConditionFailedError(new Array(count), more).message
    expect(messageOf(0)).toBe('events behind the position of the condition were scavenged, and may be such as it excludes')
    expect(messageOf(1)).toBe('1 event was committed that the condition excludes')
    expect(messageOf(2)).toBe('2 events were committed that the condition excludes')
    expect(messageOf(100, true)).toBe('more than 100 events were committed that the condition excludes')
  })

  test('a locked store: who holds it, if that is known', () => {
    expect(new StoreLockedError('/data', 42)).toMatchObject({ pid: 42, message: expect.stringContaining('process 42') })
    expect(new StoreLockedError('/data', null)).toMatchObject({ pid: null, message: expect.stringContaining('unknown') })
  })

  test('a corrupt log: file, position and what was found', () => {
    expect(new CorruptLogError('/data/000001.chunk', 4224, 'zeros')).toMatchObject({
      file: '/data/000001.chunk',
      position: 4224,
      found: 'zeros',
      message: '/data/000001.chunk: position 4224: zeros',
    })
  })

  test('a failure of the disk: the error of the system as its cause', () => {
    for (const error of [new DiskFullError('', cause), new ReadFailedError('', cause), new WriterFailedError('', { cause })]) {
      expect(error.cause).toBe(cause)
    }
    expect('cause' in new StoreClosedError()).toBe(false)
  })
})

describe('an error that is an answer', () => {
  const answer = () => withoutStack(() => new StreamDeletedError('order-42'))

  test('has no stack, and those that come later have theirs', () => {
    expect(answer().stack).not.toContain('\n')
    expect(new StoreClosedError().stack).toContain('errors.test.ts')
  })

  test('is made, with its stack, where the embedder has frozen the intrinsics: it took the process down', () => {
    const { stackTraceLimit } = Error
    Object.defineProperty(Error, 'stackTraceLimit', { value: stackTraceLimit, writable: false })
    try {
      expect(answer()).toMatchObject({ code: 'STREAM_DELETED', stack: expect.stringContaining('errors.test.ts') })
    } finally {
      Object.defineProperty(Error, 'stackTraceLimit', { value: stackTraceLimit, writable: true })
    }
  })
})

describe('errors of the system', () => {
  test('are told by their code, of which there may be none', () => {
    expect(systemErrorCode(cause)).toBe('EIO')
    for (const other of [null, undefined, 'EIO', new Error('EIO'), { code: 5 }]) expect(systemErrorCode(other)).toBe(null)
  })

  test.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('%s means a full disk', code => {
    expect(isDiskFull(systemError(code, 'write', 'log'))).toBe(true)
  })

  test('a full quota does, as the system tells of it: it has no name there', () => {
    const told = Object.assign(new Error('Unknown system error -122: write'), {
      code: 'Unknown system error -122',
      errno: -constants.errno.EDQUOT,
    })
    expect(systemErrorCode(told)).toBe('EDQUOT')
    expect(isDiskFull(told)).toBe(true)
  })

  test('others do not', () => {
    for (const other of [cause, new Error('no space'), null]) expect(isDiskFull(other)).toBe(false)
  })
})
