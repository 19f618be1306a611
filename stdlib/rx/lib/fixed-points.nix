/**
  Sets that refer to themselves, and overlays that change them.

  An overlay is a function `final: prev: { … }`. `prev` is the set as it was before this overlay: take from it what you
  change. `final` is the set with all overlays: take from it what you use.
*/
rec {
  /** The set that a function of the finished set makes: `fix (self: { a = 1; b = self.a + 1; })`. */
  fix = f: let self = f self; in self;

  /** A function for `fix` with one overlay on top. */
  extends = overlay: f: final: let prev = f final; in prev // overlay final prev;

  /** Two overlays as one; the second sees the first. */
  composeExtensions = one: two: final: prev:
    let first = one final prev; in first // two final (prev // first);

  /** A list of overlays as one. */
  composeManyExtensions = builtins.foldl' composeExtensions (_: _: { });

  /** `fix`, and the result can be extended: `(makeExtensible f).extend (final: prev: { … })`. */
  makeExtensible = f: fix f // { extend = overlay: makeExtensible (extends overlay f); };
}
