import type { RigOptions } from '../proof/rig.ts'
import { endWithParent, say } from './child-program.ts'
import { NamespacedRig } from './namespaced-rig.ts'
import { rigs } from './rigs.ts'

/** The process that a `NamespacedRig` starts: namespaced-main NAME OPTIONS. */
endWithParent()
const [name, options] = process.argv.slice(2)
const rig = rigs.find(candidate => candidate.name === name)
if (!(rig instanceof NamespacedRig)) throw new Error(`no rig '${name}' mounts`)
const report = await rig.inner.run(JSON.parse(options!) as RigOptions, line => say('progress', line))
say('report', JSON.stringify(report))
process.exit(0)
