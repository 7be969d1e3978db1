/**
 * What a host's libvirt is asked, in words: its procedures' names are for its developers.
 *
 * @since 0.13.0
 */

const words: Readonly<Record<string, string>> = {
  connect: "for a connection",
  AUTH_LIST: "how to sign in",
  CONNECT_OPEN: "for a connection",
  CONNECT_GET_ALL_DOMAIN_STATS: "how its domains are",
  CONNECT_LIST_ALL_DOMAINS: "which domains it has",
  CONNECT_LIST_ALL_NETWORKS: "which networks it has",
  CONNECT_LIST_ALL_INTERFACES: "which interfaces it has",
  CONNECT_GET_CAPABILITIES: "what it can run",
  CONNECT_GET_DOMAIN_CAPABILITIES: "what it can run",
  CONNECT_BASELINE_CPU: "what its processor has",
  CONNECT_GET_HOSTNAME: "what it is called",
  CONNECT_GET_VERSION: "which version it has",
  CONNECT_GET_LIB_VERSION: "which version it has",
  NODE_GET_INFO: "what machine it is on",
  NODE_GET_CPU_MAP: "which processors it has",
  DOMAIN_GET_STATE: "how a domain is",
  DOMAIN_IS_ACTIVE: "whether a domain runs",
  DOMAIN_IS_PERSISTENT: "whether a domain stays defined",
  DOMAIN_GET_XML_DESC: "what a domain is defined as",
  DOMAIN_GET_METADATA: "whose a domain is",
  DOMAIN_SET_METADATA: "to note something with a domain",
  DOMAIN_LOOKUP_BY_NAME: "for a domain by its name",
  DOMAIN_LOOKUP_BY_UUID: "for a domain by its uuid",
  DOMAIN_DEFINE_XML_FLAGS: "to define a domain",
  DOMAIN_UNDEFINE_FLAGS: "to remove the definition of a domain",
  DOMAIN_CREATE_XML: "to start a domain",
  DOMAIN_CREATE_WITH_FLAGS: "to start a domain",
  DOMAIN_SHUTDOWN_FLAGS: "to shut a guest down",
  DOMAIN_DESTROY: "to take the power from a domain",
  DOMAIN_DESTROY_FLAGS: "to take the power from a domain",
  DOMAIN_REBOOT: "to reboot a guest",
  DOMAIN_RESET: "to reset a domain",
  DOMAIN_SUSPEND: "to pause a domain",
  DOMAIN_RESUME: "to let a domain go on",
  DOMAIN_GET_AUTOSTART: "whether a domain is started with it",
  DOMAIN_SET_AUTOSTART: "to start a domain with it, or not",
  DOMAIN_ATTACH_DEVICE_FLAGS: "to attach a device",
  DOMAIN_UPDATE_DEVICE_FLAGS: "to change a device",
  DOMAIN_DETACH_DEVICE_FLAGS: "to detach a device",
  DOMAIN_DETACH_DEVICE_ALIAS: "to detach a device",
  DOMAIN_GET_BLOCK_INFO: "how large a disk is",
  DOMAIN_BLOCK_RESIZE: "to tell a guest that its disk has grown",
  DOMAIN_GET_GUEST_INFO: "what a guest says of itself",
  DOMAIN_INTERFACE_ADDRESSES: "which addresses a guest has",
  DOMAIN_OPEN_CONSOLE: "for a console",
  DOMAIN_SCREENSHOT: "for a picture of a screen"
}

const kinds = [
  [/^STORAGE_/, "about its storage"],
  [/^SECRET_/, "about its secrets"],
  [/^NETWORK_/, "about its networks"],
  [/^DOMAIN_/, "about a domain"]
] as const

/** After `when asked`, as in `how its domains are` or `to start a domain`. @since 0.13.0 @category formatting */
export const asked = (procedure: string): string =>
  words[procedure] ?? kinds.find(([kind]) => kind.test(procedure))?.[1] ?? "about itself"
