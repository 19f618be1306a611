let
  set.f = x: x;
  f = set.f;
  g = set.f;
  same = x: [ x ] == [ x ];
in
[
  ([ set.f ] == [ set.f ])
  ({ inherit (set) f; } == { inherit (set) f; })
  ([ f ] == [ f ])
  ([ f ] == [ g ])
  (builtins.seq f (builtins.seq g ([ f ] == [ g ])))
  (same set.f)
  (builtins.elem set.f [ set.f ])
  ([ builtins.add ] == [ builtins.add ])
]
