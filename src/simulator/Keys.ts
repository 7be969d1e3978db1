/**
 * SSH keys for simulated hosts and their clients.
 *
 * @since 0.1.0
 */
import ssh2 from "ssh2"

/** In OpenSSH's formats. @since 0.1.0 @category models */
export interface KeyPair {
  readonly private: string
  /** `ssh-ed25519 …` */
  readonly public: string
}

/** A new Ed25519 key. @since 0.1.0 @category constructors */
export const make = (): KeyPair => {
  // one in a few hundred of ssh2's own keys ssh2 cannot read (it pads the private part wrongly)
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519")
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return { private: pair.private, public: pair.public }
  }
}
