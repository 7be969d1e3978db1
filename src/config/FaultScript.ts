/**
 * What may be said in a fault script, for people.
 *
 * @since 0.3.0
 */

/** The language, for people. @since 0.3.0 @category constants */
export const help = `A fault script has one fault a line: when it is, a colon, and what goes wrong. # begins a comment.

When:
  at TIME                 once, so long after the beginning
  from TIME               the same, for what lasts
  at TIME for TIME        it is taken back after the second time (from, every: likewise)
  every TIME              again and again
A time is a number with ms, s, m, h or d, as in 500ms or 1.5m.

What:
  host N dies | boots                          power; N counts from 1 in the fleet's order
  libvirtd of host N stops | starts | hangs | goes on
  network of host N is cut | is mended
  host N loses its connections                 every one is reset
  host N refuses connections | accepts connections
  a random guest crashes                       also: a random guest of host N, guest NAME of host N
  P % of calls take TIME                       of those to libvirt, on all hosts
  P % of calls fail
  the pool stops | goes on                     Ceph's storage daemons
"a random host" stands wherever "host N" may.`
