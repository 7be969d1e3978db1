/**
 * Events a libvirt daemon pushes.
 *
 * @since 0.1.0
 */

/**
 * A domain's lifecycle event; `event` and `detail` are virDomainEventType and its detail type.
 *
 * @since 0.1.0 @category models
 */
export interface DomainEvent {
  readonly _tag: "Lifecycle"
  readonly name: string
  /** lower case with dashes */
  readonly uuid: string
  readonly event: number
  readonly detail: number
}
