/**
 * Revisions: what is wanted of something, as one word that is another as soon as that is. What is only seen of it does not count.
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { CloudInit } from "../domain/CloudInit.ts"
import { HasChanged } from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { Token, User } from "../domain/Identity.ts"
import type { Image } from "../domain/Image.ts"
import type { KnownType } from "../domain/InstanceType.ts"
import type { Operation } from "../domain/Operation.ts"
import { isUnlimited } from "../domain/Quota.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Snapshot, Volume } from "../domain/Volume.ts"
import type { Webhook } from "../domain/Webhook.ts"

/** Whether a revision is the expected one. @since 0.4.0 @category models */
export type Expect = (revision: string) => boolean

const of = (...wanted: ReadonlyArray<unknown>): string =>
  createHash("sha256").update(JSON.stringify(wanted)).digest("base64url").slice(0, 22)

const makeOfVm = (vm: Vm): string =>
  of("VM", vm.id, vm.uuid, vm.name, vm.instanceType, vm.imageId, vm.hostId, vm.state, vm.onCrash, [
    vm.protected,
    vm.autostart,
    vm.description,
    vm.tags,
    vm.labels,
    vm.nics,
    // one of which nothing is said keeps the revision that it had before there were rules
    ...(vm.placement === null ? [] : [vm.placement])
  ])

/** A VM that is changed is another value, and one that is asked for is often asked for again. */
const ofVms = new WeakMap<Vm, string>()

/** @since 0.4.0 @category getters */
export const ofVm = (vm: Vm): string => {
  const known = ofVms.get(vm)
  if (known !== undefined) return known
  const revision = makeOfVm(vm)
  ofVms.set(vm, revision)
  return revision
}

/** @since 0.6.0 @category getters */
export const ofCloudInit = (vm: Vm, { revision }: CloudInit): string => of("cloud-init", vm.id, revision)
/** @since 0.4.0 @category getters */
export const ofVolume = ({ hostId, id, name, purgeAt, size, sourceId, state, target, vmId }: Volume): string =>
  of("volume", id, name, size, hostId, state, vmId, target, sourceId, purgeAt)
/** @since 0.4.0 @category getters */
export const ofSnapshot = ({ id, name, size, state, volumeId }: Snapshot): string =>
  of("snapshot", id, volumeId, name, size, state)
/** @since 0.4.0 @category getters */
export const ofHost = ({ config, id, lostAt, maintenance }: Host): string =>
  of("host", id, config, maintenance, ...(lostAt === null ? [] : ["lost"]))
/** @since 0.4.0 @category getters */
export const ofImage = ({ config, id, state }: Image): string => of("image", id, config, state)
/** @since 0.4.0 @category getters */
export const ofInstanceType = ({ cpu, disk, ram, requires, retired, tid }: KnownType): string =>
  of("type", tid, cpu, ram, disk, retired, ...(requires === undefined ? [] : [requires]))
/** @since 0.4.0 @category getters */
export const ofOperation = (operation: Operation): string => {
  const { cancelAsked, error, id, outcome, replacedBy, retriedBy, state } = operation
  return of("operation", id, state, error, cancelAsked, outcome, replacedBy, retriedBy)
}

/** @since 0.5.0 @category getters */
export const ofWebhook = ({ id, types, url }: Webhook): string => of("webhook", id, url, types)

/** @since 0.8.0 @category getters */
export const ofUser = ({ createdAt, disabled, hasPassword, name, quota, role }: User): string =>
  // one whom nothing limits keeps the revision that they had before there were quotas
  of("user", name, createdAt, role, disabled, hasPassword, ...(isUnlimited(quota) ? [] : [quota]))

/** @since 0.8.0 @category getters */
export const ofToken = ({ createdAt, expiresAt, id, name, owner, role }: Token): string =>
  of("token", id, name, owner, role, createdAt, expiresAt)

const checking =
  <A extends { readonly id: number }>(what: string, revision: (now: A) => string) =>
  (expect: Expect | undefined) =>
    expect === undefined
      ? undefined
      : (now: A): Effect.Effect<void, HasChanged> =>
          expect(revision(now)) ? Effect.void : new HasChanged({ what: `${what} ${now.id}` })

/** Fails when it is not as expected; undefined: nothing is. @since 0.4.0 @category predicates */
export const checkVm = checking("VM", ofVm)
/** @since 0.4.0 @category predicates */
export const checkHost = checking("host", ofHost)
/** @since 0.5.0 @category predicates */
export const checkWebhook = checking("webhook", ofWebhook)
/** @since 0.7.0 @category predicates */
export const checkImage = checking("image", ofImage)
/** Fails when it is not as expected; undefined: nothing is. @since 0.8.0 @category predicates */
export const checkUser = (expect: Expect | undefined, now: User): Effect.Effect<void, HasChanged> =>
  expect === undefined || expect(ofUser(now)) ? Effect.void : new HasChanged({ what: `user ${now.name}` })
/** @since 0.8.0 @category predicates */
export const checkToken = (expect: Expect | undefined, now: Token): Effect.Effect<void, HasChanged> =>
  expect === undefined || expect(ofToken(now)) ? Effect.void : new HasChanged({ what: `token ${now.id}` })
const ofTypeById = checking("instance type", ({ type }: { readonly id: number; readonly type: KnownType }) =>
  ofInstanceType(type)
)
/** @since 0.7.0 @category predicates */
export const checkType = (expect: Expect | undefined) => {
  const check = ofTypeById(expect)
  return check === undefined ? undefined : (type: KnownType) => check({ id: type.tid, type })
}
