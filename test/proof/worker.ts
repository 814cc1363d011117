import type { Work, WorkerMessage } from './workers.ts'

/** A process that does one job after the other, with the module that its argument names, until its parent has had enough. */

const send = (message: WorkerMessage) => void process.send?.(message)
const ready = import(process.argv[2] as string) as Promise<{ readonly work: Work<unknown, unknown> }>

process.on('message', async ({ job }: { readonly job: unknown }) => {
  try {
    const { work } = await ready
    send({ result: await work(job, said => send({ said })) })
  } catch (error) {
    send({ error: String((error as Error)?.stack ?? error) })
  }
})
process.on('disconnect', () => process.exit(0))
