// Loaded with --import in front of tsx: what is imported with '?mutant=n' comes with the n-th edits of TAILRACE_MUTANTS in it.
import { register } from 'node:module'

register('./edit-sources.mjs', import.meta.url, { data: process.env.TAILRACE_MUTANTS ?? '[]' })
