// Loaded with --import in front of tsx: the engine's sources come from here with the edits of TAILRACE_MUTANT in them.
import { register } from 'node:module'

register('./edit-sources.mjs', import.meta.url, { data: process.env.TAILRACE_MUTANT ?? '[]' })
