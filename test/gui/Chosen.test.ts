/** What was chosen in a form, and is gone before that is sent. */
import { assert, describe, it } from "@effect/vitest"
import { ImageId, InstanceTypeId } from "../../src/domain/Ids.ts"
import { imageGone, typeGone } from "../../src/gui/parts/Chosen.ts"

const image = (id: number, state: "available" | "withdrawn") => ({ id: ImageId.make(id), state })

describe("what was chosen", () => {
  const pub = { id: ImageId.make(102), name: "pub" }

  it("is an image that is still there", () => {
    assert.isNull(imageGone(null, []))
    assert.isNull(imageGone(pub, [image(1, "available"), image(102, "available")]))
  })

  it("is said to be gone by its name, and how", () => {
    assert.strictEqual(imageGone(pub, [image(1, "available")]), "pub was deleted: choose another image.")
    assert.strictEqual(imageGone(pub, [image(102, "withdrawn")]), "pub is withdrawn by now: choose another image.")
  })

  it("is a size that is on offer, or not any more", () => {
    assert.isNull(typeGone(null, []))
    assert.isNull(typeGone(2, [{ id: InstanceTypeId.make(2) }]))
    assert.strictEqual(
      typeGone(2, [{ id: InstanceTypeId.make(3) }]),
      "Instance type 2 was retired: choose another size."
    )
  })
})
