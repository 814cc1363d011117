import { parseArgs } from 'node:util'

export interface ProofOptions {
  readonly isQuick: boolean
  /** Names of rigs; empty for all. */
  readonly only: readonly string[]
  /** Leaves out the rigs that held at this commit. */
  readonly isResumed: boolean
  readonly seed: number
  readonly isJson: boolean
  /** Whether the results are kept, and docs/reliability.md made of them. */
  readonly isWritten: boolean
}

export const HELP = `npm run proof -- [options]

Tries to break the store in every way it knows, counts, and writes docs/reliability.md from what it found.

  --quick       a few minutes for everything, instead of as long as it takes; writes nothing unless --write is given
  --only a,b    only these rigs
  --resume      not those of which there is a result of this commit and kind already; so a run that was cut can go on
  --seed n      another choice of random cases (default 1)
  --write       keep the results of a quick run, too
  --json        the results on stdout
  --help        this text, and the rigs

Exit code 1 when any promise was broken, 2 for wrong arguments.`

/** @throws TypeError for arguments that mean nothing. */
export function parseOptions(args: readonly string[]): ProofOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      resume: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      write: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed) || seed < 0) throw new TypeError(`--seed must be a whole number, not '${values.seed}'`)
  return {
    isQuick: values.quick,
    only: values.only.split(',').filter(name => name !== ''),
    isResumed: values.resume,
    seed,
    isJson: values.json,
    isWritten: values.write || !values.quick,
  }
}
