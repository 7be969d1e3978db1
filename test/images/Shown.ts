/** Images as a client of a running controller sees them. */
import * as Schema from "effect/Schema"

/** What has to be in an answer about one. */
export const decode = Schema.decodeUnknownSync(
  Schema.Struct({
    id: Schema.Int,
    state: Schema.String,
    reason: Schema.NullOr(Schema.String),
    received: Schema.NullOr(Schema.Int),
    sha256: Schema.NullOr(Schema.String)
  })
)
