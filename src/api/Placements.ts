/**
 * Why VMs are where they are, and what else would fit.
 *
 * @since 0.7.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { Required } from "../domain/Placement.ts"
import { Resources } from "../domain/Resources.ts"
import { documented, field, id, Int, oneOf, optional, strict, Time, within } from "./Common.ts"
import { Violation } from "./Placement.ts"
import * as Problem from "./Problem.ts"

/** @since 0.7.0 @category schemas */
export const RankedHost = Schema.Struct({
  hostId: Ids.HostId,
  host: field(Schema.String, "its name"),
  score: field(Schema.Number, "the sum of its points"),
  terms: field(
    Schema.Array(
      Schema.Struct({
        of: field(
          Schema.String,
          "`spread`: what stays free of the scarcest resource; `pack`: how much of it is taken; `align`: how well what is free suits what is wanted; " +
            "`fragmentation`: how little becomes useless for usual sizes; else a rule in words"
        ),
        points: field(Schema.Number, "1 for one of weight 1 that could not be better")
      })
    ),
    "what the points are for"
  )
}).annotations({ identifier: "RankedHost", description: "A host that could take it." })

/** @since 0.7.0 @category schemas */
export const PlacementExplanation = Schema.Struct({
  hosts: field(Int, "how many there were"),
  candidates: field(Int, "how many of them could take it"),
  best: field(
    Schema.Array(RankedHost),
    "the chosen one and those that came nearest to it, at most four, the best first"
  ),
  decided: field(Schema.String, "what decided, one sentence"),
  barred: field(
    Schema.Array(Problem.BarredHosts),
    "the others by what barred them, the largest groups first, at most 10"
  ),
  unnamed: field(Int, "hosts in further groups")
}).annotations({ identifier: "PlacementExplanation", description: "Why a host was chosen, as it was then." })

/** @since 0.7.0 @category schemas */
export const PlannedMove = Schema.Struct({
  vmId: Ids.VmId,
  name: field(Schema.String, "of the VM"),
  fromHostId: Ids.HostId,
  fromHost: field(Schema.String, "its name"),
  toHostId: Ids.HostId,
  toHost: field(Schema.String, "its name"),
  gain: field(
    Schema.Number,
    "to `spread` and `balance`: by how much the higher dominant share of the two hosts falls; to `pack` or to empty a host: the part of it that is emptied; to " +
      "repair: how many broken rules hold again, 0 for a move that makes the next one possible"
  ),
  memoryBytes: field(Int, "to be copied: the VM's memory"),
  diskBytes: field(Int, "to be copied at most: its root disk, if that is in a folder of its host")
}).annotations({ identifier: "PlannedMove", description: "A VM that is to move." })
/** @since 0.7.0 @category schemas */
export type PlannedMove = typeof PlannedMove.Type

/** @since 0.7.0 @category schemas */
export const StuckVm = Schema.Struct({
  vmId: Ids.VmId,
  name: field(Schema.String, "of the VM"),
  hostId: field(Ids.HostId, "where it stays"),
  host: field(Schema.String, "name of that host"),
  reason: field(Schema.String, "why it cannot move, one clause"),
  refusal: field(
    Schema.NullOr(Problem.PlacementRefusal),
    "what bars which hosts, and the smallest repairs; null: it is not for the hosts, or it is told of 8 other VMs already"
  )
}).annotations({ identifier: "StuckVm", description: "A VM that should move and cannot." })

/** @since 0.8.0 @category schemas */
export const RuleRepair = Schema.Struct({
  violations: field(Schema.Array(Violation), "its must-rules that do not hold"),
  moves: field(
    Schema.Array(PlannedMove),
    "those that would make them hold, one after the other, in this order; other VMs may have to make room"
  ),
  further: field(Int, "moves after these that are part of the plan, and not told"),
  stuck: field(
    Schema.NullOr(StuckVm),
    "the VM, when some do not hold even after the moves, and why; null: then they all hold"
  ),
  complete: field(Schema.Boolean, "false: the search was cut short, and there may be more moves")
}).annotations({
  identifier: "RuleRepair",
  description: "What would make the must-rules of a VM hold again. Nothing is moved."
})
/** @since 0.8.0 @category schemas */
export type RuleRepair = typeof RuleRepair.Type

/** @since 0.7.0 @category schemas */
export const VmPlacement = Schema.Struct({
  vmId: Ids.VmId,
  name: field(Schema.String, "of the VM"),
  hostId: field(Ids.HostId, "where it is"),
  host: field(Schema.String, "name of that host"),
  placedAt: field(Schema.NullOr(Time), "when it was chosen; null: nothing is known of that"),
  explanation: field(
    Schema.NullOr(PlacementExplanation),
    "null: it was placed before that was kept, or by a scheduler that does not say"
  ),
  repair: field(
    Schema.NullOr(RuleRepair),
    "as of this moment: the moves after which its must-rules hold that do not hold now; null: they all hold"
  )
}).annotations({
  identifier: "VmPlacement",
  description: "Why a VM is where it is.",
  examples: [
    {
      vmId: Ids.VmId.make(7),
      name: "web-1",
      hostId: Ids.HostId.make(2),
      host: "root@h2",
      placedAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
      explanation: {
        hosts: 3,
        candidates: 2,
        best: [
          { hostId: Ids.HostId.make(2), host: "root@h2", score: 0.75, terms: [{ of: "spread", points: 0.75 }] },
          { hostId: Ids.HostId.make(1), host: "root@h1", score: 0.5, terms: [{ of: "spread", points: 0.5 }] }
        ],
        decided: "root@h2 is better than root@h1 by 0.25, most of all by what stays free (0.25)",
        barred: [{ count: 1, host: "root@h3", reasons: ["memory short by 2 GiB"] }],
        unnamed: 0
      },
      repair: {
        violations: [
          {
            rule: "must be apart from web over host",
            strength: "must",
            reason: "its host has VM 8 (web-2) of web, too"
          }
        ],
        moves: [
          {
            vmId: Ids.VmId.make(7),
            name: "web-1",
            fromHostId: Ids.HostId.make(2),
            fromHost: "root@h2",
            toHostId: Ids.HostId.make(1),
            toHost: "root@h1",
            gain: 1,
            memoryBytes: 4_294_967_296,
            diskBytes: 0
          }
        ],
        further: 0,
        stuck: null,
        complete: true
      }
    }
  ]
})
/** @since 0.7.0 @category schemas */
export type VmPlacement = typeof VmPlacement.Type

/** Of how many losses, and of how many VMs of each, is told. @since 0.7.0 @category constants */
export const most = { losses: 100, homeless: 10 }

/** @since 0.7.0 @category schemas */
export const TypeFit = Schema.Struct({
  type: Ids.InstanceTypeId,
  cpu: field(Int, "vCPUs"),
  ram: field(Int, "MiB"),
  disk: field(Int, "GiB of the root disk"),
  requires: field(Required, "what it requires of its host: of each of these labels one of the values. Empty: nothing"),
  more: field(
    Int,
    "how many more of it fit on hosts that have what it requires, if nothing else were placed and no rules given"
  ),
  hosts: field(Int, "on how many hosts there is room for one or more"),
  limit: field(
    Schema.NullOr(Schema.Literal("cpu", "ram", "disk", "pool")),
    "what is used up first, on most hosts; `pool`: what all hosts share; null: no host takes new VMs of it"
  )
}).annotations({ identifier: "TypeFit", description: "How many more of an instance type fit." })

/** @since 0.7.0 @category schemas */
export const HostLoss = Schema.Struct({
  hostId: Ids.HostId,
  host: field(Schema.String, "its name"),
  vms: field(Int, "how many VMs are there"),
  homeless: field(Int, "for how many of them no room was found on the others"),
  named: field(
    Schema.Array(Schema.Struct({ vmId: Ids.VmId, name: Schema.String })),
    `some of those, at most ${most.homeless}`
  )
}).annotations({ identifier: "HostLoss", description: "A host without which VMs would have no place." })

/** @since 0.7.0 @category schemas */
export const Fits = Schema.Struct({
  hosts: field(Int, "how many there are"),
  open: field(Int, "how many of them take new VMs: they are up, and not in maintenance"),
  reserved: field(Resources, "what those keep free in all, for which nothing is placed"),
  types: field(Schema.Array(TypeFit), "those on offer"),
  losses: field(
    Schema.Array(HostLoss),
    `single hosts whose VMs would not fit on the others, those with most such VMs first, at most ${most.losses}`
  ),
  unsurvivable: field(Int, "how many such hosts there are in all")
}).annotations({
  identifier: "Fits",
  description: "What more fits at this moment.",
  examples: [
    {
      hosts: 3,
      open: 3,
      reserved: { cpu: 0, ram: 12288, disk: 0 },
      types: [
        {
          type: Ids.InstanceTypeId.make(1),
          cpu: 2,
          ram: 4096,
          disk: 20,
          requires: {},
          more: 17,
          hosts: 3,
          limit: "ram"
        }
      ],
      losses: [
        {
          hostId: Ids.HostId.make(2),
          host: "root@h2",
          vms: 9,
          homeless: 1,
          named: [{ vmId: Ids.VmId.make(7), name: "web-1" }]
        }
      ],
      unsurvivable: 1
    }
  ]
})
/** @since 0.7.0 @category schemas */
export type Fits = typeof Fits.Type

/** @since 0.7.0 @category constants */
export const policies = ["spread", "pack", "balance"] as const

/** @since 0.7.0 @category schemas */
export const FleetFigures = Schema.Struct({
  highest: field(
    Schema.Number,
    "the highest dominant share: of what may be promised of a host's scarcest resource, 1 is all"
  ),
  mean: field(Schema.Number, "the mean of the dominant shares"),
  occupied: field(Int, "hosts with VMs"),
  empty: field(Int, "hosts without"),
  broken: field(Int, "must-rules of VMs that do not hold, on all hosts")
}).annotations({ identifier: "FleetFigures", description: "How the hosts that take new VMs are used." })

/** @since 0.7.0 @category schemas */
export const Rebalancing = Schema.Struct({
  aim: field(Schema.Literal("policy", "empty", "repair"), "what the plan is for"),
  policy: field(Schema.Literal(...policies), "what it was planned by"),
  moves: field(Schema.Array(PlannedMove), "one after the other, in this order"),
  further: field(Int, "moves after these that are part of the plan, and not told"),
  stuck: field(Schema.Array(StuckVm), "VMs that should move and cannot"),
  complete: field(Schema.Boolean, "false: the search was cut short, and there may be more or better moves"),
  before: field(FleetFigures, "as it is"),
  after: field(FleetFigures, "after all moves, those that are not told included")
}).annotations({
  identifier: "Rebalancing",
  description: "Which VMs would have to move where. Nothing is moved.",
  examples: [
    {
      aim: "empty",
      policy: "spread",
      moves: [
        {
          vmId: Ids.VmId.make(7),
          name: "web-1",
          fromHostId: Ids.HostId.make(2),
          fromHost: "root@h2",
          toHostId: Ids.HostId.make(1),
          toHost: "root@h1",
          gain: 0.5,
          memoryBytes: 4_294_967_296,
          diskBytes: 0
        }
      ],
      further: 0,
      stuck: [
        {
          vmId: Ids.VmId.make(8),
          name: "db-1",
          hostId: Ids.HostId.make(2),
          host: "root@h2",
          reason: "no other host can take it",
          refusal: {
            problem: "no other host can take it",
            hosts: 2,
            barred: [
              { count: 1, host: "root@h2", reasons: ["it is there"] },
              { count: 1, host: "root@h1", reasons: ["memory short by 2 GiB"] }
            ],
            unnamed: 0,
            repairs: []
          }
        }
      ],
      complete: true,
      before: { highest: 0.75, mean: 0.5, occupied: 2, empty: 0, broken: 0 },
      after: { highest: 0.625, mean: 0.5, occupied: 2, empty: 0, broken: 0 }
    }
  ]
})
/** @since 0.7.0 @category schemas */
export type Rebalancing = typeof Rebalancing.Type

/** @since 0.7.0 @category groups */
export const group = HttpApiGroup.make("placements")
  .add(
    HttpApiEndpoint.get("getVmPlacement", "/vms/:id/placement")
      .setPath(Schema.Struct({ id: id(Ids.VmId) }))
      .addSuccess(VmPlacement)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Tell why a VM is where it is",
          "As the scheduler saw its hosts when it chose one: what could take the VM, what decided, and why the others could not. Kept as long as the VM exists. " +
            "When a must-rule of it does not hold any more, the moves are planned that would make it hold, as `/rebalancing` does for all VMs."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getFits", "/fits")
      .addSuccess(Fits)
      .annotateContext(
        documented(
          "viewer",
          "Tell what more fits",
          "Of each instance type how many more fit now, by what is promised, and which single host's VMs would not fit on the others that are up. That " +
            "they would is certain; that they would not means that none of two ways of placing them did. Networks are looked at, and what instance types require of hosts; rules are not."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getRebalancing", "/rebalancing")
      .setUrlParams(
        Schema.Struct({
          aim: optional(
            oneOf(["policy", "repair"], "RebalancingAim"),
            "`policy`: nearer to what the policy is for; `repair`: must-rules that do not hold are to hold again. `policy` unless it is said"
          ),
          empty: optional(id(Ids.HostId), "plan to empty this host instead; not with the aim `repair`"),
          policy: optional(
            oneOf(policies, "RebalancingPolicy"),
            "`spread` and `balance`: the highest dominant shares fall; `pack`: hosts become empty. `spread` unless it is said"
          ),
          most: optional(within(1, 100), "how many moves at most; 10 unless it is said")
        }).annotations(strict)
      )
      .addSuccess(Rebalancing)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Plan moves of VMs",
          "Each move can be made in the order given: limits and must-rules, of the VM and of others, hold after every single one, and it gains something. What it costs is " +
            "told with it. A VM with volumes in a folder of its host cannot move; one whose root disk is in a folder has to be copied. Nothing is moved, and nothing " +
            "is reserved: it is as of this moment. The search is bounded, and says when it was cut short."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Placements")
  .annotate(OpenApi.Description, "Why VMs are where they are, and what more would fit.")
