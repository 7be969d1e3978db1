/**
 * What was chosen in a form that stays open: it may be gone by the time the form is sent.
 *
 * @since 0.13.0
 */
import type { Image } from "../../api/Images.ts"
import type { InstanceType } from "../../api/InstanceTypes.ts"

/** An image as it was when it was chosen. @since 0.13.0 @category models */
export type ChosenImage = Pick<Image, "id" | "name">

/** Why it cannot be had any more; null: it can. @since 0.13.0 @category formatting */
export const imageGone = (
  chosen: ChosenImage | null,
  images: ReadonlyArray<Pick<Image, "id" | "state">>
): string | null => {
  if (chosen === null) return null
  const now = images.find(({ id }) => id === chosen.id)
  if (now?.state === "available") return null
  return `${chosen.name} ${now === undefined ? "was deleted" : `is ${now.state} by now`}: choose another image.`
}

/** The same of a size. @since 0.13.0 @category formatting */
export const typeGone = (chosen: number | null, offered: ReadonlyArray<Pick<InstanceType, "id">>): string | null =>
  chosen === null || offered.some(({ id }) => id === chosen)
    ? null
    : `Instance type ${chosen} was retired: choose another size.`
