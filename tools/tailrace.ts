#!/usr/bin/env node
import { runCommandLine } from './command-line.ts'

const interruption = new AbortController()

function interrupt(signal: NodeJS.Signals): void {
  // The first Ctrl-C ends the work in good order, the second ends the process.
  if (interruption.signal.aborted) process.exit(130)
  interruption.abort(new Error(`got ${signal}`))
}

process.on('SIGINT', interrupt)
process.on('SIGTERM', interrupt)

const { stdin, stdout, stderr } = process
process.exitCode = await runCommandLine(process.argv.slice(2), { stdin, stdout, stderr, signal: interruption.signal })
// A pipe on stdin that nobody read to its end must not keep the process.
stdin.unref?.()
