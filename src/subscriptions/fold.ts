import { InvalidArgumentError } from '../core/errors.ts'
import type { AnyEvent, RecordedEvent } from '../core/events.ts'

/**
 * The state behind an event: what it returns, or the same one, changed in place, when it returns nothing. It must do nothing else:
 * it is called again for events that were folded before, whenever a state is made anew.
 */
export type Reducer<State, Event extends AnyEvent = AnyEvent> = (
  state: State,
  event: RecordedEvent<Event>,
  // biome-ignore lint/suspicious/noConfusingVoidType: TypeScript before 7 takes a body without return for void, not for undefined.
) => State | void

/** One reducer for all events, or one for each type; events of other types leave the state as it is. */
export type When<State, Event extends AnyEvent = AnyEvent> =
  | Reducer<State, Event>
  | { readonly [Type in Event['type']]?: Reducer<State, OfType<Event, Type>> }

/** Those of the events that can have the type: where types are any text, each of them. */
type OfType<Event extends AnyEvent, Type> = Event extends AnyEvent ? (Type extends Event['type'] ? Event : never) : never

/** Folds events into a state. */
export class Fold<State> {
  /** The types that mean something; undefined for all. */
  readonly types: readonly string[] | undefined
  readonly #initial: () => State
  readonly #reducerOf: (type: string) => Reducer<State> | undefined

  /** @throws InvalidArgumentError */
  constructor(initial: State | (() => State), when: When<State>) {
    if (typeof when !== 'function' && (typeof when !== 'object' || when === null || Object.keys(when).length === 0))
      throw new InvalidArgumentError('when must be a function, or an object with a function for each event type')
    this.#initial = typeof initial === 'function' ? (initial as () => State) : () => copyOf(initial)
    if (typeof when === 'function') {
      this.types = undefined
      this.#reducerOf = () => when
    } else {
      const reducers = new Map(Object.entries(when))
      for (const [type, reducer] of reducers) {
        if (typeof reducer !== 'function') throw new InvalidArgumentError(`when['${type}'] must be a function`)
      }
      this.types = [...reducers.keys()]
      this.#reducerOf = type => reducers.get(type)
    }
  }

  initial(): State {
    return this.#initial()
  }

  next(state: State, event: RecordedEvent): State {
    const reducer = this.#reducerOf(event.type)
    if (reducer === undefined) return state
    const next = reducer(state, event)
    return next === undefined ? state : next
  }
}

function copyOf<State>(initial: State): State {
  try {
    return structuredClone(initial)
  } catch (cause) {
    throw new InvalidArgumentError(`initial must be a value that can be copied, or a function that makes it: ${String(cause)}`, {
      cause,
    })
  }
}
