import type { ProfileLine } from './cpu-profile.ts'

/** What was measured, by name; the unit is the end of the name. */
export type Figures = Readonly<Record<string, number>>

/** What the process of a task says to its parent. */
export type TaskMessage =
  | { readonly figures: Figures; readonly profile?: readonly ProfileLine[] }
  | { readonly error: string }
  | { readonly progress: string }
  /** It may be killed now, and these processes with it. */
  | { readonly ready: readonly number[] }

export type Tell = (message: TaskMessage) => void
