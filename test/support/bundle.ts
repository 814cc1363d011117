import { join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '../..')

/** Makes one file of a programme and of the engine's sources. What is no part of these is looked for in `node_modules`, from the file on. */
export async function bundle(contents: string, format: 'esm' | 'cjs', outfile: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: ROOT },
    alias: { tailrace: join(ROOT, 'src/index.ts') },
    bundle: true,
    platform: 'node',
    format,
    outfile,
    logLevel: 'error',
  })
}
