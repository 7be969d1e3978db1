/**
 * The connection a request came on: what cannot be forged by a header.
 *
 * @since 0.4.0
 */
import { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"

/** Addresses without brackets and without IPv6's way of writing IPv4; empty: not known. @since 0.4.0 @category models */
export interface Connection {
  readonly remote: string
  readonly local: string
  readonly secure: boolean
}

const unknown: Connection = { remote: "", local: "", secure: false }

const plain = (address: string | undefined): string =>
  address === undefined ? "" : address.startsWith("::ffff:") ? address.slice(7) : address

/** @since 0.4.0 @category constructors */
export const of = ({ source }: { readonly source: unknown }): Connection =>
  source instanceof IncomingMessage
    ? {
        remote: plain(source.socket.remoteAddress),
        local: plain(source.socket.localAddress),
        secure: source.socket instanceof TLSSocket
      }
    : unknown

/** Whether it is this machine's own. @since 0.4.0 @category predicates */
export const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.")
