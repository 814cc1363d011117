import { expect, test } from 'vitest'
import { IndexWork } from '../../src/streams/index-work.ts'

/** Works that note when they begin and end, each after its turns. */
class Diary {
  readonly lines: string[] = []

  work(name: string, turns: number): () => Promise<void> {
    return async () => {
      this.lines.push(`${name} begins`)
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      this.lines.push(`${name} ends`)
    }
  }
}

test('files are written beside a merge, one after the other', async () => {
  const work = new IndexWork()
  const diary = new Diary()
  void work.merge(diary.work('merge', 20))
  void work.write(diary.work('one', 2))
  void work.write(diary.work('other', 2))
  await work.settled()
  expect(diary.lines).toEqual(['merge begins', 'one begins', 'one ends', 'other begins', 'other ends', 'merge ends'])
})

test('what is alone waits for all before it, and all behind wait for it', async () => {
  const work = new IndexWork()
  const diary = new Diary()
  void work.merge(diary.work('merge', 5))
  void work.write(diary.work('write', 2))
  void work.alone(diary.work('alone', 5))
  void work.write(diary.work('next write', 2))
  void work.merge(diary.work('next merge', 5))
  await work.settled()
  expect(diary.lines.slice(0, 2).sort()).toEqual(['merge begins', 'write begins'])
  expect(diary.lines.slice(2, 6)).toEqual(['write ends', 'merge ends', 'alone begins', 'alone ends'])
  expect(diary.lines.slice(6).sort()).toEqual(['next merge begins', 'next merge ends', 'next write begins', 'next write ends'])
})

test('what fails says so, and the next one has its turn; what is begun by another is waited for, too', async () => {
  const work = new IndexWork()
  const diary = new Diary()
  const failing = work.write(() => Promise.reject(new Error('EIO')))
  void work.write(async () => {
    void work.merge(diary.work('merge', 3))
  })
  await expect(failing).rejects.toThrow('EIO')
  await work.settled()
  expect(diary.lines).toEqual(['merge begins', 'merge ends'])
})
